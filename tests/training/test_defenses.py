"""Defenses: what a loss is made of."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from gauntlet.core.plugins import available, load
from gauntlet.core.rng import generator
from gauntlet.training.step import FAMILY, Step
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


@pytest.mark.parametrize("kind", tiny.DEFENSES)
def test_a_loss_leaves_mode_weights_and_flags_as_found(kind):
    """Even with a frozen layer in eval mode, which evaluating must not wake."""
    spec, part = tiny.spec(kind, ramp=0.5), tiny.part(16)
    given = tiny.given(spec, part)
    step = Step(tiny.model(), spec, given.get("teacher"))
    model, layers = step.model, list(step.model.modules())
    model.train()
    layers[2].eval()
    layers[2].weight.requires_grad_(False)
    modes = [layer.training for layer in layers]
    flags = [weight.requires_grad for weight in model.parameters()]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    loss = step(part.images, part.labels, given.get("crafted"), generator(0, "x"), 1.0)
    assert loss.requires_grad and loss.dim() == 0
    assert [layer.training for layer in layers] == modes
    assert [weight.requires_grad for weight in model.parameters()] == flags
    assert all(weight.grad is None for weight in model.parameters())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    loss.backward()
    assert layers[2].weight.grad is None and part.images.grad is None


def test_every_defense_of_the_house_is_among_the_tiny_ones():
    assert {settings["kind"] for settings in tiny.DEFENSES.values()} == set(available(FAMILY))
