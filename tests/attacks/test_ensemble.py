"""Ensembles: who is attacked by which member, and Square from given points."""

import pytest
import torch
from torch import nn

from gauntlet.attacks.autoattack import autoattack
from gauntlet.attacks.base.ensemble import Member, in_turn
from gauntlet.attacks.gauntlet import MEMBERS, gauntlet
from gauntlet.attacks.square import square, square_from
from gauntlet.core.batched_model import BatchedModel, NonFiniteLogits
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import AttackResult, admissible

AREA = {"norm": "linf", "eps": 0.1}


@pytest.fixture(scope="module")
def linear():
    """A linear model of two classes, whose margin is 20 times the mean of 16 pixels minus 8."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([[20 / 16], [0.0]]).expand(2, 16))
        network[1].bias.copy_(torch.tensor([-8.0, 0.0]))
    return network.eval().requires_grad_(False)


def _images(*means):
    return torch.stack([torch.full((1, 4, 4), mean) for mean in means])


def _lowering(amount, seen=None):
    """An attack that subtracts an amount from all pixels, and notes which images it got."""

    def attack(model, images, labels, *, streams, start=None):
        if seen is not None:
            seen.append((images.mean((1, 2, 3)), start))
        examples = (images - amount).clamp(0, 1)
        missed = model(examples).argmax(1) != labels
        ones = torch.ones_like(labels)
        return AttackResult(examples, ones, ones * 0, ones * missed)

    return attack


def _run(model, images, members, eps=0.1):
    labels = torch.zeros(len(images), dtype=torch.int64)
    streams = Streams.of_images(0, range(len(images)), "ensemble")
    return in_turn(BatchedModel(model), images, labels, streams, members, "linf", eps)


def test_members_choose_by_the_share_of_the_margin_that_is_left(linear):
    seen = {name: [] for name in ("near", "far", "warm")}
    # Margins are 20 * mean - 8: of 2, 4 and 8; lowered by 0.05, each loses 1.
    images = _images(0.5, 0.6, 0.8)
    members = [
        Member("first", _lowering(0.05)),
        Member("near", _lowering(0.0, seen["near"]), most=0.6),
        Member("far", _lowering(0.0, seen["far"]), least=0.8),
        Member("warm", _lowering(0.09, seen["warm"]), warm=True),
    ]
    found = _run(linear, images, members)
    assert torch.allclose(seen["near"][0][0], torch.tensor([0.5]))
    assert torch.allclose(seen["far"][0][0], torch.tensor([0.8]))
    means, start = seen["warm"][0]
    assert torch.allclose(means, torch.tensor([0.5, 0.6, 0.8]))
    assert torch.allclose(start, images - 0.05), "not the examples of lowest margin"
    assert torch.allclose(found.images, images - 0.09)
    assert found.success_by.tolist() == [-1, -1, -1]


def test_nearer_examples_are_kept_though_nothing_succeeds(linear):
    members = [Member("far", _lowering(0.06)), Member("less", _lowering(0.02), most=2.0)]
    found = _run(linear, _images(0.8), members)
    assert torch.allclose(found.images, _images(0.74))
    assert found.forwards.tolist() == [2 + 1 + 2]  # two attacks, the clean image, two examples


def test_what_an_image_gets_does_not_depend_on_others(linear):
    images = _images(0.41, 0.44, 0.5, 0.6, 0.9)
    labels = torch.zeros(5, dtype=torch.int64)
    model = BatchedModel(linear)
    streams = Streams.of_images(0, range(5), "ensemble")
    given = AREA | {"queries": 50}
    whole = gauntlet(model, images, labels, streams=streams, **given)
    for row in range(5):
        one = slice(row, row + 1)
        own = streams.select(torch.tensor([row]))
        alone = gauntlet(model, images[one], labels[one], streams=own, **given)
        assert torch.equal(alone.images, whole.images[one])
        assert torch.equal(alone.forwards, whole.forwards[one])
        assert torch.equal(alone.success_by, whole.success_by[one])


def test_logits_that_are_not_finite_name_the_image_of_the_call(linear):
    def broken(model, images, labels, *, streams):
        raise NonFiniteLogits(1)

    members = [Member("first", _lowering(0.1)), Member("second", broken)]
    with pytest.raises(NonFiniteLogits) as caught:
        _run(linear, _images(0.45, 0.9, 0.8), members)  # the first image falls before
    assert caught.value.row == 2


@pytest.mark.parametrize("kind", [gauntlet, autoattack])
def test_an_example_as_near_as_the_ball_is_found(linear, kind):
    """Margins 20 * mean - 8 fall by 2 in the ball: those below are broken, none above."""
    images = _images(0.41, 0.45, 0.49, 0.51, 0.55, 0.9)
    labels = torch.zeros(6, dtype=torch.int64)
    found = kind(linear, images, labels, **AREA)
    assert (found.success_query > 0).tolist() == [True] * 3 + [False] * 3
    assert bool(admissible(found.images, images, **AREA).all())
    if kind is gauntlet:
        assert {MEMBERS[by] for by in found.success_by.tolist() if by >= 0} <= set(MEMBERS)


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.1), ("l2", 0.35)])
def test_square_goes_on_from_its_start(linear, norm, eps):
    images = _images(0.5, 0.5)
    labels = torch.zeros(2, dtype=torch.int64)
    streams = Streams.of_images(3, range(2), "start")
    sure = 0.0999 if norm == "linf" else eps / 4 - 1e-4
    given = {"streams": streams, "norm": norm, "eps": eps, "queries": 2}
    cold = square(linear, images, labels, **given)
    warm = square_from(BatchedModel(linear), images, labels, start=images - sure, **given)
    left = linear(warm.images)[:, 0]
    assert bool((left < linear(cold.images)[:, 0]).all())
    assert bool((left <= linear(images - sure)[:, 0] + 1e-4).all()), "it lost what it began with"
    assert bool(admissible(warm.images, images, norm, eps).all())
