"""A small network under each attack, with settings under which a run takes a moment."""

import torch
from torch import nn

from gauntlet.core.plugins import load

SETTINGS = {
    "pgd": {"norm": "linf", "eps": 0.1, "steps": 5, "step": 0.05},
    "fgsm": {"norm": "linf", "eps": 0.1, "step": 0.1},
    "mifgsm": {"norm": "linf", "eps": 0.1, "steps": 5, "step": 0.02},
    "apgd": {"norm": "linf", "eps": 0.1, "steps": 10},
    "apgd_t": {"norm": "linf", "eps": 0.1, "steps": 10, "targets": 3},
    "fab_t": {"norm": "linf", "eps": 0.1, "steps": 5, "targets": 3},
    "square": {"norm": "linf", "eps": 0.1, "queries": 30},
    "spsa": {"norm": "linf", "eps": 0.1, "steps": 3, "samples": 8},
    "autoattack": {"norm": "linf", "eps": 0.4},
    "gauntlet": {"norm": "linf", "eps": 0.1, "queries": 30},
    "adaptive": {"norm": "linf", "eps": 0.1, "steps": 5, "queries": 20},
    "deepfool": {"norm": "l2", "steps": 5},
    "ddn": {"steps": 10},
    "cw": {"steps": 10, "search_steps": 2},
    "fmn": {"norm": "l2", "steps": 10},
    "rays": {"queries": 40},
    "hopskipjump": {"norm": "l2", "steps": 2, "init_evals": 10, "max_evals": 20},
    "gaussian_noise": {"sigma": 0.3, "draws": 3},
    "spatial": {"grid": (5, 3, 3)},
    "corruptions": {"severity": 4},
}


def network(classes: int = 10) -> nn.Module:
    """Give an untrained network in eval mode."""
    torch.manual_seed(0)
    body = [nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(384, classes)]
    return nn.Sequential(*body).eval()


def data(count: int = 12) -> torch.Tensor:
    """Give images [count, 1, 8, 8] in [0, 1]."""
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def predicted(model, images) -> torch.Tensor:
    """Give the classes that a model answers with."""
    with torch.no_grad():
        return model(images).argmax(1)


def run(kind, model, images, labels, **more):
    """Attack by the settings above and what comes on top of them."""
    return load("attacks", kind)(model, images, labels, **SETTINGS[kind] | more)


def same(one, other) -> bool:
    """Whether two results have the same examples and counts."""
    counts = ("forwards", "backwards", "success_query")
    return torch.equal(one.images, other.images) and all(
        torch.equal(getattr(one, name), getattr(other, name)) for name in counts
    )
