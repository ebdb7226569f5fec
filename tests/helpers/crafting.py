"""A small trained network, its images, and what attacks of every kind make of them."""

import pytest
import torch

from gauntlet.core import scoring
from gauntlet.stages import craft
from gauntlet.stages import judge as books
from gauntlet.training import loop
from tests.helpers import tiny

WRONG = slice(0, 6)  # images whose label is not what the model says
EPS = (0.02, 0.15, 0.3)
KINDS = {
    "pgd": {"kind": "pgd", "norm": "linf", "steps": 4, "step": 0.05},
    "pgd-l2": {"kind": "pgd", "norm": "l2", "steps": 4, "step": 1.0},
    "fgsm": {"kind": "fgsm", "norm": "linf", "step": 0.375, "random_start": True},
    "noise": {"kind": "gaussian_noise", "draws": 3},
}


@pytest.fixture(scope="module", name="model")
def trained_model():
    fresh = tiny.model()
    loop.fit(fresh, tiny.spec(epochs=3), tiny.part(64), tiny.part(32, 1))
    return fresh.eval().requires_grad_(False)


@pytest.fixture(scope="module", name="data")
def labeled_images(model):
    made = tiny.part(40, 2)
    labels = scoring.predict(model, made.images)
    labels[WRONG] = 1 - labels[WRONG]
    return made.images, labels


def eps_of(kind):
    return [10 * eps for eps in EPS] if kind == "pgd-l2" else list(EPS)


def spec_of(kind="pgd", draws=0, **change):
    name = "sigma" if kind == "noise" else "eps"
    points = [KINDS[kind] | {name: eps} | change for eps in eps_of(kind)]
    own = {"part": "test", "precision": "float32", "loss_draws": draws}
    return {"points": points, "seed": 0, "batch": 16} | own


def _victims(data):
    return craft.EvalImages(torch.arange(100, 140), *data)


def crafted(model, spec, data, keep=None):
    return craft.craft(model, spec, _victims(data), keep)


def ledger_of(model, spec, data, made, access="white-box"):
    return list(books.ledger(model, spec, _victims(data), made.examples, access, made))


def column(rows, name, kind=float):
    return torch.tensor([kind(row[name]) for row in rows]).view(len(EPS), -1)
