"""Defenses: what a loss is made of."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from gauntlet.core.plugins import load
from gauntlet.core.rng import generator
from tests.helpers import tiny


@pytest.mark.parametrize("sigma", [0.1, 0.5])
def test_noise_has_its_sigma_and_is_not_cut(sigma):
    seen, images = [], torch.zeros(64, *tiny.SHAPE)
    images[32:] = 1
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    model.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    labels = torch.zeros(64, dtype=torch.int64)
    noise = load("training.defenses", "gaussian_noise")
    noise(model, images, labels, generator=generator(0, "noise"), sigma=sigma)
    (noisy,) = seen
    assert float((noisy - images).std()) == pytest.approx(sigma, rel=0.05)
    assert abs(float((noisy - images).mean())) < 0.05 * sigma
    assert noisy[:32].min() < -sigma and noisy[32:].max() > 1 + sigma


@pytest.mark.parametrize(
    ("kind", "change"), [("trades", {"beta": 0.0}), ("adversarial", {"clean_share": 1.0})]
)
def test_without_its_hostile_part_a_loss_is_the_clean_one(kind, change):
    model, part = tiny.model(), tiny.part(16)
    extra = {"attack": lambda images, labels: 9 * (1 - images), "generator": generator(0)}
    loss = load("training.defenses", kind)
    clean = cross_entropy(model(part.images), part.labels)
    assert torch.equal(loss(model, part.images, part.labels, **extra, **change), clean)
    mixed = loss(model, part.images, part.labels, **extra, **dict.fromkeys(change, 0.5))
    assert abs(float((mixed - clean).detach())) > 1e-3
