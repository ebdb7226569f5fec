"""The rerun breaks, behind every mask, what can be broken: a linear model of known distances."""

import pytest
import torch
from torch import nn

from gauntlet.attacks.base.bpda import StraightThrough
from gauntlet.attacks.base.smoothed import Smoothed
from gauntlet.audit._rerun import run_means
from gauntlet.audit._substitutes import NETWORKS, trained
from gauntlet.audit._survivors import Survivors, Threat
from gauntlet.core.batched_model import BatchedModel
from tests.helpers import plants, tricks

COUNT, SHAPE, EPS, CLASSES = 16, (1, 4, 4), 0.1, 10
SAME_GRADIENT = {  # masks that leave the function's order of classes and hide its gradient
    "onehot": tricks.OneHot,
    "hard max": plants.HardMax,
    "label only": plants.LabelOnly,
    "negated backward": plants.NegatedBackward,
    "random backward": plants.RandomBackward,
    "negated hook": plants.NegatedHook,
    "detach": tricks.Detached,
    "detach and loud": lambda model: tricks.LoudLogits(tricks.Detached(model)),
    "onehot of detached": lambda model: tricks.OneHot(tricks.Detached(model)),
}


def linear():
    """Give a linear model, images that it gets right, labels, and exact linf distances."""
    stream = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, CLASSES)).requires_grad_(False).eval()
    model[1].weight.copy_(torch.randn(CLASSES, 16, generator=stream))
    model[1].bias.copy_(-model[1].weight.sum(1) / 2)
    images = 0.3 + 0.4 * torch.rand(COUNT, *SHAPE, generator=stream)
    scores = model(images).double()
    labels = scores.argmax(1)
    weights = model[1].weight.double()
    steep = (weights[labels][:, None] - weights).abs().sum(2).clamp(min=1e-12)
    spans = (scores.gather(1, labels[:, None]) - scores) / steep
    return model, images, labels, spans.scatter(1, labels[:, None], torch.inf).amin(1)


def reran(model, images, labels, eps, queries=60, train=None, samples=1):
    survivors = Survivors(
        model, images, labels, torch.arange(COUNT), Threat("linf", eps), 64, 0, samples
    )
    with torch.no_grad():
        done = list(run_means(survivors, train, samples, queries))
    return survivors, done


@pytest.mark.parametrize("name", SAME_GRADIENT)
def test_a_mask_around_a_linear_model_hides_nothing(name):
    model, images, labels, exact = linear()
    eps = float(exact.median()) * 1.001
    survivors, done = reran(SAME_GRADIENT[name](model), images, labels, eps)
    assert bool(survivors.success[exact < 0.99 * eps].all())
    assert not bool(survivors.success[exact > 1.001 * eps].any())
    far = (survivors.examples - images).abs().flatten(1).amax(1)
    assert float(far.max()) <= eps * (1 + 1e-6)
    answers = model(survivors.examples).argmax(1)
    assert torch.equal(answers != labels, survivors.success)
    assert sum(found for _, found in done) == int(survivors.success.sum())


@pytest.mark.parametrize("name", SAME_GRADIENT)
def test_the_straight_through_gradient_is_the_models_own(name):
    model, images, labels, _ = linear()

    def gradient(view):
        return BatchedModel(view).gradient(images, lambda z, rows: z[:, 0] - z[:, 1])[0]

    own, seen = gradient(model), gradient(StraightThrough(SAME_GRADIENT[name](model)))
    cosine = torch.cosine_similarity(own.flatten(1), seen.flatten(1))
    assert bool((cosine > 0.999).all())


@pytest.mark.parametrize("make", [plants.ThroughPil, plants.HashNoise])
def test_what_leaves_pytorch_and_comes_back_has_a_gradient(make):
    model, images, labels, _ = linear()
    view = StraightThrough(make(model))
    slope = BatchedModel(view).gradient(images, lambda z, rows: z[:, 0] - z[:, 1])[0]
    own = BatchedModel(model).gradient(images, lambda z, rows: z[:, 0] - z[:, 1])[0]
    assert bool((torch.cosine_similarity(slope.flatten(1), own.flatten(1)) > 0.999).all())


def test_smoothing_changes_the_gradient_only():
    model, images, labels, _ = linear()

    def stairs(batch):
        return model(batch) + 0.05 * (40 * model(batch)).sin()

    view = Smoothed(stairs, 0.1, 64)
    with torch.enable_grad():
        assert torch.allclose(view(images), stairs(images), atol=1e-5)
    own = BatchedModel(model).gradient(images, lambda z, rows: z[:, 0])[0].flatten(1)
    slopes = [
        BatchedModel(one).gradient(images, lambda z, rows: z[:, 0])[0].flatten(1)
        for one in (stairs, view)
    ]
    errors = [float((slope - own).norm() / own.norm()) for slope in slopes]
    assert errors[1] < 0.5 * errors[0]


def test_what_the_global_stream_holds_changes_nothing_and_stays():
    model, images, labels, exact = linear()
    mask, eps = plants.LabelOnly(model), float(exact.median())
    found = []
    for seed in (1, 2):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            before = torch.get_rng_state()
            survivors, done = reran(mask, images, labels, eps, train=images)
            assert torch.equal(torch.get_rng_state(), before)
        found.append((survivors.examples, done))
    assert torch.equal(found[0][0], found[1][0]) and found[0][1] == found[1][1]


def test_nothing_is_left_to_do_once_all_is_broken():
    model, images, labels, exact = linear()
    survivors, done = reran(tricks.Detached(model), images, labels, 3 * float(exact.max()))
    assert bool(survivors.success.all()) and len(done) <= 2


def test_known_examples_come_first_and_are_judged():
    model, images, labels, exact = linear()
    survivors = Survivors(model, images, labels, torch.arange(COUNT), Threat("linf", EPS), 64, 0)
    rows = survivors.rows()
    assert survivors.offer("audit black_box", rows, images) == 0
    assert survivors.offer("audit black_box", rows, 1 - images) == 0  # beyond the ball


@pytest.mark.parametrize("name", NETWORKS)
def test_a_substitute_learns_the_models_answers(name):
    model = linear()[0]
    train = torch.rand(400, *SHAPE, generator=torch.Generator().manual_seed(1))
    network = trained(name, BatchedModel(model), train, CLASSES, "linf", 0.02, 0)
    agreed = (network(train).argmax(1) == model(train).argmax(1)).float().mean()
    assert float(agreed) > 0.5 and not any(p.requires_grad for p in network.parameters())
