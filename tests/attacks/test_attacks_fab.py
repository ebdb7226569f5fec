"""Targeted FAB against distances that are known, its restarts, and its settings."""

import pytest
import torch
from torch import nn

from gauntlet.attacks.deepfool import deepfool
from gauntlet.attacks.fab_t import fab_t
from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import admissible, distance
from tests.helpers.boundaries import (
    COUNT,
    NORMS,
    PIXELS,
    SHAPE,
    SPREADS,
    draw,
    nearest,
    random_images,
)


def _linear(classes, seed=0):
    weights, bias = 20 * draw(classes, PIXELS, seed=seed), 5 * draw(classes, seed=seed + 1)
    return (lambda points: (points - 0.5).flatten(1) @ weights.T + bias), weights, bias


def _run(model, images, labels, seed=0, first=0, **settings):
    streams = Streams.of_images(seed, range(first, first + len(images)), "attack")
    return fab_t(model, images, labels, streams=streams, **settings)


@pytest.fixture(scope="module")
def net():
    """Give a small network with curved boundaries, images and its own labels."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, 32), nn.ReLU(), nn.Linear(32, 4))
    model.requires_grad_(False)
    model[1].weight *= 4
    images = random_images(0.5, 16)
    return model, images, model(images).argmax(1)


@pytest.mark.parametrize("classes", (2, 5))
@pytest.mark.parametrize("spread", SPREADS.values(), ids=SPREADS)
@pytest.mark.parametrize("norm", NORMS)
def test_minimal_distance_of_a_linear_model_is_found(norm, spread, classes):
    model, weights, bias = _linear(classes)
    images = random_images(spread)
    labels = model(images).argmax(1)
    exact = nearest(images, labels, weights, bias, norm)
    result = _run(model, images, labels, norm=norm, steps=30, targets=classes - 1)
    ratio = distance(result.images, images, norm) / exact
    clear = exact > 1e-3  # nearer than that, rounding of the logits decides
    assert int(clear.sum()) > COUNT / 2 and (model(result.images).argmax(1) != labels).all()
    assert ratio[clear].min() > 1 - 1e-3 and ratio[clear].max() < 1.01
    assert admissible(result.images, images, norm, float(exact.max() * 1.01)).all()


@pytest.mark.parametrize("norm", NORMS)
def test_aims_beside_the_likeliest_matter(norm):
    """Class 1 is likelier than class 2 but much flatter: it is the farther one."""
    weights, bias = torch.zeros(3, PIXELS), -torch.tensor([0, 0.1, 1.0])
    weights[1, 0], weights[2], weights[2, 0] = 0.25, 20.0, -20.0
    images, labels = torch.full((2, *SHAPE), 0.5), torch.zeros(2, dtype=torch.int64)

    def model(points):
        return (points - 0.5).flatten(1) @ weights.T + bias

    exact, farther = (nearest(images, labels, weights[:k], bias[:k], norm) for k in (3, 2))
    few, all_ = (_run(model, images, labels, norm=norm, steps=10, targets=t) for t in (1, 9))
    torch.testing.assert_close(distance(few.images, images, norm), farther, rtol=0.01, atol=0)
    torch.testing.assert_close(distance(all_.images, images, norm), exact, rtol=0.01, atol=0)
    assert (exact < farther / 2).all()
    assert (few.backwards == 10).all() and (all_.backwards == 20).all()


@pytest.mark.parametrize("norm", NORMS)
def test_near_enough_is_done_and_costs_less(norm):
    model, weights, bias = _linear(4)
    images = random_images(0.05)
    labels = model(images).argmax(1)
    exact = nearest(images, labels, weights, bias, norm)
    eps = float(exact.median()) * 1.0001
    full, cut = (_run(model, images, labels, norm=norm, eps=e, steps=20) for e in (None, eps))
    success = distance(cut.images, images, norm) <= eps
    clear = (exact / eps - 1).abs() > 0.01
    assert torch.equal(success[clear], (exact <= eps)[clear]) and 0 < int(success.sum()) < COUNT
    assert (cut.backwards < full.backwards)[success & clear].all()
    assert (cut.backwards == full.backwards)[~success].all()


@pytest.mark.parametrize("eps", (0, 0.0, 10.0))
def test_extreme_eps(eps, net):
    result = _run(*net, norm="l2", eps=eps, steps=3, restarts=2)
    assert admissible(result.images, net[1], "l2", 10.0).all()
    assert (result.backwards > 0).all()


@pytest.mark.parametrize("norm", NORMS)
def test_restarts_never_go_further_and_start_elsewhere(norm, net):
    one, three = (_run(*net, norm=norm, steps=40, restarts=r) for r in (1, 3))
    near, nearer = (distance(result.images, net[1], norm) for result in (one, three))
    assert (nearer <= near).all() and (nearer < near).any()
    assert (three.backwards == 3 * one.backwards).all()
    again, other = (_run(*net, norm=norm, steps=40, restarts=3, seed=s) for s in (0, 1))
    assert torch.equal(again.images, three.images)
    assert not torch.equal(other.images, three.images)


@pytest.mark.parametrize("norm", ("linf", "l2"))
def test_it_goes_no_further_than_deepfool(norm, net):
    streams = Streams.of_images(0, range(16), "attack")
    theirs = distance(deepfool(*net, streams=streams, norm=norm).images, net[1], norm)
    ours = distance(_run(*net, norm=norm).images, net[1], norm)
    assert (ours <= theirs * 1.01).all() and (ours < theirs * 0.99).any()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("eps", (None, 0.02))
def test_an_image_knows_nothing_of_the_others(norm, eps, net):
    model, images, labels = net
    settings = {"norm": norm, "eps": eps, "steps": 10, "restarts": 2}
    whole = distance(_run(*net, **settings).images, images, norm)
    for row in range(0, 16, 5):
        image, label = images[row : row + 1], labels[row : row + 1]
        alone = _run(BatchedModel(model, 2), image, label, first=row, **settings)
        span = distance(alone.images, image, norm)
        if eps is None or whole[row] > eps:
            torch.testing.assert_close(span, whole[row : row + 1], rtol=1e-3, atol=1e-6)
        else:
            assert span <= eps


def test_images_out_of_reach_and_wrong_ones(net):
    _, images, _ = net
    labels = torch.tensor([0, 1] * 8)
    constant = lambda points: points.flatten(1)[:, :1] * 0 + torch.tensor([1.0, 0.0])  # noqa: E731
    result = _run(constant, images, labels, norm="linf", steps=4, restarts=2)
    assert torch.equal(result.images, images)
    assert torch.equal(result.success_query, labels)  # the clean look finds the wrong ones
    assert torch.equal(result.backwards, (1 - labels) * 8)


def test_low_precision_finds_what_float32_confirms(net):
    model, images, labels = net
    result = _run(BatchedModel(model, 32, "bfloat16"), images, labels, norm="l2", steps=10)
    full = _run(model, images, labels, norm="l2", steps=10)
    assert (model(result.images).argmax(1) != labels).all()
    ratio = distance(result.images, images, "l2") / distance(full.images, images, "l2")
    assert ratio.median() < 1.05


@pytest.mark.parametrize("change", [{"alpha_max": 0.0}, {"eta": 1.3}, {"beta": 0.5}], ids=str)
def test_settings_steer_the_walk(change, net):
    plain, steered = (_run(*net, norm="l2", steps=10, **extra).images for extra in ({}, change))
    assert not torch.equal(plain, steered)


@pytest.mark.parametrize("norm", NORMS)
def test_every_run_starts_elsewhere(norm):
    """One image, two aims, three restarts: the first two runs start at the image."""
    starts = []

    def model(points):
        if points.requires_grad:
            starts.extend(points.detach()[:1])
        return points.flatten(1)[:, :3] * 0 + torch.tensor([1.0, 0.0, 0.0])

    image = random_images(0.2, 1)
    _run(BatchedModel(model, 1), image, torch.tensor([0]), norm=norm, eps=0.2, steps=1, restarts=3)
    assert len(starts) == 6 and all(torch.equal(start, image[0]) for start in starts[:2])
    assert len({start.numpy().tobytes() for start in starts}) == 5
    assert admissible(torch.stack(starts), image, norm, 0.1).all()


BAD = [{"norm": "l3"}, {"eps": -0.1}, {"steps": 0}, {"restarts": 0}, {"targets": 0}]
BAD += [{"alpha_max": 1.5}, {"alpha_max": -0.1}, {"eta": 0.9}, {"beta": 0.0}, {"beta": 1.1}]


@pytest.mark.parametrize("change", BAD, ids=str)
def test_bad_settings_raise(change, net):
    with pytest.raises(ValueError, match=next(iter(change))):
        _run(*net, **{"norm": "linf", **change})
