"""Objectives of defenses: on cases that are computed by hand, and their gradients."""

import math

import pytest
import torch
from torch import nn

from gauntlet.core.plugins import load
from gauntlet.core.rng import generator
from gauntlet.training.inner import Inner

MOVED = 0.3  # what the stand-in of an attack adds to each pixel


class Linear(nn.Module):
    """Logits (a * pixel, 0) of images of one pixel."""

    def __init__(self, slope):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(float(slope)))

    def forward(self, images):
        first = self.slope * images.flatten(1)
        return torch.cat([first, torch.zeros_like(first)], 1)


def loss_of(kind, model, pixels, labels, **settings):
    images = torch.tensor(pixels).view(-1, 1, 1, 1)
    settings.setdefault("generator", generator(0, "loss"))
    labels = torch.tensor(labels)
    return load("training.defenses", kind)(model, images, labels, **settings)


def _moved(images, labels):
    return images + MOVED


def inner_of(model, eps=0.1, size=1.0):
    settings = {"kind": "fgsm", "norm": "linf", "eps": eps, "step": eps}
    return Inner(model, settings, size, 1.0, generator(0, "inner"))


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def kl(one, two):
    pairs = [(one, two), (1 - one, 1 - two)]
    return sum(a * math.log(a / b) for a, b in pairs)


def test_mart_by_hand():
    clean, moved = sigmoid(2 * 0.5), sigmoid(2 * 0.8)
    boosted = -math.log(moved) - math.log(1.0001 - (1 - moved))
    expected = boosted + 3 * kl(clean, moved) * (1 - clean)
    found = loss_of("mart", Linear(2), [0.5], [0], attack=_moved, beta=3.0)
    assert float(found) == pytest.approx(expected, rel=1e-5)
    wrong = -math.log(1 - moved) - math.log(1.0001 - moved) + 3 * kl(clean, moved) * clean
    found = loss_of("mart", Linear(2), [0.5], [1], attack=_moved, beta=3.0)
    assert float(found) == pytest.approx(wrong, rel=1e-5)


def test_trades_by_hand():
    clean, moved = sigmoid(2 * 0.5), sigmoid(2 * 0.8)
    found = loss_of("trades", Linear(2), [0.5], [0], attack=_moved, beta=3.0)
    assert float(found) == pytest.approx(-math.log(clean) + 3 * kl(clean, moved), rel=1e-5)
    smooth = -0.9 * math.log(clean) - 0.1 * math.log(1 - clean)
    settings = {"attack": _moved, "beta": 0.0, "label_smoothing": 0.2}
    assert float(loss_of("trades", Linear(2), [0.5], [0], **settings)) == pytest.approx(smooth)


def test_distillation_by_hand():
    taught, told = sigmoid(1.0), sigmoid(1.0 / 4)
    given = {"attack": _moved, "teacher": lambda images: torch.tensor([[1.0, 0.0]])}
    soft, hard = sigmoid(2 * 0.8 / 4), sigmoid(2 * 0.5)
    expected = 0.75 * 16 * kl(told, soft) + 0.25 * -math.log(hard)
    found = loss_of("ard", Linear(2), [0.5], [0], alpha=0.75, temperature=4.0, **given)
    assert float(found) == pytest.approx(expected, rel=1e-4)
    expected = 0.25 * kl(taught, sigmoid(1.0)) + 0.75 * kl(taught, sigmoid(1.6))
    found = loss_of("rslad", Linear(2), [0.5], [0], clean_weight=0.25, **given)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_rslad_attacks_the_teachers_answer():
    asked = []

    def attack(images, labels):
        asked.append(labels)
        return images

    given = {"attack": attack, "teacher": lambda images: torch.tensor([[1.0, 0.0]])}
    loss_of("rslad", Linear(2), [0.5], [0], **given)
    assert torch.allclose(asked[0], torch.tensor([[sigmoid(1.0), 1 - sigmoid(1.0)]]))


def test_consistency_by_hand():
    found = loss_of("consistency", Linear(2), [0.5], [0], sigma=0.0, weight=9.0, entropy=0.5)
    p = sigmoid(1.0)
    disorder = -p * math.log(p) - (1 - p) * math.log(1 - p)
    assert float(found) == pytest.approx(-math.log(p) + 0.5 * disorder, rel=1e-5)
    stream = generator(0, "loss")
    draws = [float(torch.randn((1, 1, 1, 1), generator=stream)) for _ in range(2)]
    one, two = (sigmoid(2 * (0.5 + 0.3 * draw)) for draw in draws)
    mean = (one + two) / 2
    expected = (-math.log(one) - math.log(two)) / 2 + 9 * (kl(mean, one) + kl(mean, two)) / 2
    found = loss_of("consistency", Linear(2), [0.5], [0], sigma=0.3, weight=9.0, entropy=0.0)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_smoothadv_walks_to_the_edge_of_its_ball():
    model = Linear(2)
    settings = {"inner": inner_of(model), "sigma": 0.0, "eps": 0.2, "steps": 2, "draws": 2}
    found = loss_of("smoothadv", model, [0.5], [0], **settings)
    assert float(found) == pytest.approx(-math.log(sigmoid(2 * 0.3)), rel=1e-5)


def test_ensemble_uses_each_source_and_itself():
    model, seen = Linear(2), set()
    images, labels = torch.full((1, 1, 1, 1), 0.5), torch.tensor([0])
    loss, stream = load("training.defenses", "ensemble"), generator(0, "x")
    crafted = torch.tensor([0.1, 0.2]).view(1, 2, 1, 1, 1)
    settings = {"attack": lambda images, labels: images * 0, "crafted": crafted}
    expected = {-math.log(sigmoid(2 * pixel)) for pixel in (0.0, 0.1, 0.2)}
    clean = -math.log(sigmoid(1.0))
    for _ in range(60):
        found = float(loss(model, images, labels, generator=stream, **settings))
        seen.add(round(2 * found - clean, 4))
    assert seen == {round(value, 4) for value in expected}
    one = {"attack": lambda images, labels: images * 0, "crafted": crafted[:, 0]}
    found = {
        round(2 * float(loss(model, images, labels, generator=stream, **one)) - clean, 4)
        for _ in range(40)
    }
    assert found == {round(-math.log(sigmoid(2 * pixel)), 4) for pixel in (0.0, 0.1)}


def test_noise_and_attack_have_their_weights():
    settings = {"attack": _moved, "sigma": 0.0, "noise_share": 0.25}
    expected = -0.25 * math.log(sigmoid(1.0)) - 0.75 * math.log(sigmoid(1.6))
    assert float(loss_of("noise_adversarial", Linear(2), [0.5], [0], **settings)) == pytest.approx(
        expected
    )


@pytest.mark.parametrize("kind", ["mtl_ibp", "cc_ibp", "sabr"])
def test_certified_losses_by_hand(kind):
    """The bound of a linear model is exact: margin 2 x in the worst case of the ball."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(1, 2))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[2.0], [0.0]]))
        model[1].bias.zero_()
    images, labels = torch.full((1, 1, 1, 1), 0.5), torch.tensor([0])
    given = {"attack": lambda images, labels: images - 0.1, "size": 0.5, "eps": 0.2}
    if kind == "sabr":
        given["ratio"] = 0.25  # a radius of 0.025 around 0.5 - 0.075: the edge of the ball
        expected = -math.log(sigmoid(2 * 0.4))
    else:
        given["alpha"] = 0.75
        bound = 2 * 0.4
        given["attack"] = lambda images, labels: images + 0.1
        parts = -math.log(sigmoid(2 * 0.6)), -math.log(sigmoid(bound))
        expected = 0.25 * parts[0] + 0.75 * parts[1]
        if kind == "cc_ibp":
            expected = -math.log(sigmoid(0.25 * 2 * 0.6 + 0.75 * bound))
    loss = load("training.defenses", kind)
    found = loss(model, images, labels, generator=generator(0), **given)
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_label_smoothing_is_the_mean_of_labels():
    model, labels = Linear(2), [0]
    p = sigmoid(1.0)
    expected = -0.95 * math.log(p) - 0.05 * math.log(1 - p)
    assert float(loss_of("standard", model, [0.5], labels, label_smoothing=0.1)) == pytest.approx(
        expected
    )
    given = {"attack": lambda images, labels: images, "label_smoothing": 0.1}
    assert float(loss_of("adversarial", model, [0.5], labels, **given)) == pytest.approx(expected)
    settings = {"inner": inner_of(model), "eps": 0.0, "label_smoothing": 0.1}
    assert float(loss_of("n_fgsm", model, [0.5], labels, **settings)) == pytest.approx(expected)
