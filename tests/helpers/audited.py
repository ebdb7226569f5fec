"""Small models of digits, honest and tricky, and their audits: what tests and the table share."""

import copy
from functools import cache

import torch
from torch.nn.functional import interpolate

from gauntlet.audit import audit
from gauntlet.audit._finding import Finding
from gauntlet.audit._subject import Subject
from gauntlet.core.rng import generator
from gauntlet.data.sklearn_digits import sklearn_digits
from gauntlet.models import build_model
from gauntlet.study.audit_gate import known_checks
from gauntlet.training.loop import Part, fit
from tests.helpers import tiny
from tests.helpers.tricks import TRICKS

CHECKS = tuple(known_checks())
EPS = 0.1
ARCH = {"arch": "article_cnn", "channels": [8, 16], "hidden": 32}
PGD = {"kind": "pgd", "norm": "linf", "eps": EPS, "steps": 5, "step": EPS / 2}
COLLAPSE, WIDE, LARGE_EPS = "fgsm collapse", 16, 0.25  # one step collapses on larger images only
LARGE = PGD | {"eps": LARGE_EPS, "step": LARGE_EPS / 2}
FGSM = {"kind": "fgsm", "norm": "linf", "eps": LARGE_EPS, "step": LARGE_EPS}
DEFENSES = {
    "plain": {"kind": "standard"},
    "pgd": {"kind": "adversarial", "attack": PGD},
    "trades": {"kind": "trades", "attack": PGD, "beta": 3.0},
    COLLAPSE: {"kind": "adversarial", "attack": FGSM},
}
EPOCHS = {"plain": 10, "pgd": 10, "trades": 10, COLLAPSE: 10}
LEAKS, LEAKED = 30, "leaked test images"
PLANTED = (*TRICKS, COLLAPSE, LEAKED)
HONEST = ("plain", "pgd", "trades")
BUDGET = {"steps": 15, "queries": 150, "samples": 8}
IMAGES = 60


@cache
def digits(side: int = 8) -> tuple[Part, Part, Part]:
    """Give scikit-learn's digits in three parts: 1,100 to train on, 100 to validate, the rest."""
    found = sklearn_digits([], None)
    images = torch.from_numpy(found.images).float() / found.max_value
    images = interpolate(images, (side, side), mode="bilinear")
    labels = torch.from_numpy(found.labels)
    order = torch.randperm(len(labels), generator=generator(0, "digits"))
    parts = order.split([1100, 100, len(labels) - 1200])
    return tuple(Part(images[rows], labels[rows]) for rows in parts)


@cache
def trained(defense: str, seed: int = 0) -> tuple[torch.nn.Module, list[dict]]:
    """Train a small model in seconds; gives it in eval mode, with its history."""
    side = WIDE if defense == COLLAPSE else 8
    train, validation, _ = digits(side)
    seen = LARGE if defense == COLLAPSE else PGD
    settings = tiny.spec()["training"] | {"epochs": EPOCHS[defense], "batch": 64}
    settings |= {"learning_rate": 0.005, "selection": "last", "validation_attack": seen}
    spec = {"defense": DEFENSES[defense], "training": settings, "seed": seed, "batch": 128}
    model = build_model(ARCH, (1, side, side), 10, seed)
    model.normalize_like(train.images)
    history = fit(model, spec, train, validation).history
    return model.eval().requires_grad_(False), history


def subject(model, eps: float = EPS, side: int = 8, **papers) -> Subject:
    """Prepare a model for an audit on the first test images."""
    train, _, test = digits(side)
    papers = {"train": (train.images, train.labels), "test": (test.images, test.labels)} | papers
    chosen = (test.images[:IMAGES], test.labels[:IMAGES], torch.arange(IMAGES))
    return Subject(model, *chosen, "linf", eps, budget=dict(BUDGET), **papers)


def honest(defense: str, seed: int = 0) -> Subject:
    """Give an honest model for an audit."""
    model, history = trained(defense, seed)
    return subject(model, history=history)


def planted(name: str, base: str = "pgd") -> Subject:
    """Give a model with a trick for an audit; tricks stand around the model of defense `base`."""
    if name in TRICKS:
        return subject(TRICKS[name](copy.deepcopy(trained(base)[0])).eval())
    if name != LEAKED:
        model, history = trained(name)
        return subject(model, LARGE_EPS, WIDE, history=history, single_step=True)
    train, _, test = digits()
    images = torch.cat([train.images, test.images[:LEAKS]])
    return subject(trained(base)[0], train=(images, torch.cat([train.labels, test.labels[:LEAKS]])))


@cache
def findings(name: str, base: str = "pgd") -> dict[str, Finding]:
    """Audit a model by the name of its defense or its trick, with every check."""
    seen = honest(name) if name in HONEST else planted(name, base)
    return {finding.check: finding for finding in audit(seen, known_checks())}


def table() -> str:
    """Write the table of models and checks: F fail, W warn, i info, . pass, blank skipped."""
    signs = {"fail": "F", "warn": "W", "info": "i", "pass": ".", "skipped": " "}
    names = known_checks()
    lines = ["| model | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for name in (*HONEST, *PLANTED):
        cells = [signs[finding.verdict] for finding in findings(name).values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(table())
