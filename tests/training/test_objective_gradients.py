"""Gradients of defenses' objectives against finite differences."""

import inspect

import pytest
import torch
from torch import nn

from gauntlet.core.plugins import load
from gauntlet.core.rng import generator
from gauntlet.training.memory import Memory
from tests.helpers import tiny


def _smooth_model():
    torch.manual_seed(0)
    layers = [nn.Flatten(), nn.Linear(64, 6), nn.Softplus(), nn.Linear(6, 2)]
    return nn.Sequential(*layers).double()


class Constant:
    """Stands for what is computed inside, which no gradient passes through."""

    eps, size, step = 0.1, 1.0, 1.0

    def gradient(self, points, objective):
        return points * 2 - 1

    def sign_step(self, points, length, objective):
        return points * 0.9


FIXED = {  # settings, with a stand-in for the attack, under which a loss is smooth in the weights
    "mart": {},
    "trades": {},
    "ard": {"alpha": 0.5, "temperature": 3.0},
    "rslad": {},
    "gradalign": {"weight": 0.7},
    "consistency": {"sigma": 0.2},
    "smoothadv": {"sigma": 0.2, "eps": 0.3},
    "n_fgsm": {"eps": 0.1},
    "noise_adversarial": {"sigma": 0.1},
    "free": {"eps": 0.1},
    "mtl_ibp": {"eps": 0.05},
    "cc_ibp": {"eps": 0.05},
    "sabr": {"eps": 0.05},
    "ensemble": {},
}


@pytest.mark.parametrize("kind", FIXED)
def test_gradients_are_those_of_finite_differences(kind):
    model, part = _smooth_model(), tiny.part(5)
    images, labels = part.images.double(), part.labels
    loss = load("training.defenses", kind)

    def value():
        offered = {"attack": lambda images, labels: images * 0.8 + 0.1, "size": 1.0}
        offered |= {"teacher": tiny.teacher(part.images).double(), "memory": Memory()}
        offered |= {"crafted": images.flip(3), "inner": Constant()}
        taken = inspect.signature(loss).parameters
        given = {name: part for name, part in offered.items() if name in taken}
        return loss(model, images, labels, generator=generator(0, "x"), **given, **FIXED[kind])

    model.zero_grad()
    value().backward()
    for weight in model.parameters():
        found = weight.grad.flatten()
        for place in (0, found.numel() // 2):
            flat, step = weight.data.view(-1), 1e-5
            before = float(flat[place])
            ends = []
            for end in (before + step, before - step):
                flat[place] = end
                ends.append(float(value().detach()))
            flat[place] = before
            slope = (ends[0] - ends[1]) / (2 * step)
            assert float(found[place]) == pytest.approx(slope, rel=1e-3, abs=1e-6)
