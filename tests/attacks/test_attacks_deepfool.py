"""DeepFool against distances that are known."""

import pytest
import torch
from torch import nn

from gauntlet.attacks.deepfool import deepfool
from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import admissible, distance
from tests.helpers.boundaries import draw

DUAL = {"linf": 1, "l2": 2}
SHAPE, PIXELS, COUNT = (3, 4, 4), 48, 24


def _linear(classes, shape=SHAPE):
    """Give a model, images about mid-range, labels, and the exact distances of a norm."""
    pixels = torch.Size(shape).numel()
    weights, bias = 20 * draw(classes, pixels), 0.5 * draw(classes, seed=1)
    images = (0.5 + 0.03 * draw(COUNT, *shape, seed=2)).clamp(0.4, 0.6)
    model = lambda points: (points - 0.5).flatten(1) @ weights.T + bias  # noqa: E731
    logits = model(images)
    labels = logits.argmax(1)

    def exact(norm, others=classes):
        lack = (logits.amax(1, keepdim=True) - logits).double()
        slope = torch.linalg.vector_norm(weights[labels][:, None] - weights, DUAL[norm], dim=2)
        far = logits < logits.topk(min(others + 1, classes)).values[:, -1:]
        own = torch.arange(classes) == labels[:, None]
        return (lack / slope).masked_fill(far | own, torch.inf).amin(1)

    return model, images, labels, exact


def _run(model, images, labels, seed=0, **settings):
    streams = Streams.of_images(seed, range(len(images)), "attack")
    return deepfool(model, images, labels, streams=streams, **settings)


@pytest.fixture(scope="module")
def net():
    """Give a small network with curved boundaries, images that reach 0 and 1, and its labels."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, 32), nn.ReLU(), nn.Linear(32, 4))
    model.requires_grad_(False)
    model[1].weight *= 4
    images = (0.5 + 0.5 * draw(16, *SHAPE)).clamp(0, 1)
    return model, images, model(images).argmax(1)


@pytest.mark.parametrize("classes", (2, 5, 100))
@pytest.mark.parametrize("norm", DUAL)
def test_minimal_distance_of_a_linear_model_is_found(norm, classes):
    model, images, labels, exact = _linear(classes)
    result = _run(model, images, labels, norm=norm, candidates=classes)
    ratio = distance(result.images, images, norm) / exact(norm)
    clear = exact(norm) > 3e-4  # nearer than that, rounding of the logits decides
    assert int(clear.sum()) >= COUNT / 2 and (model(result.images).argmax(1) != labels).all()
    assert ratio[clear].min() > 1 - 2e-3 and ratio[clear].max() < 1.02
    assert (result.images - images).abs().max() < 0.4  # no pixel met the end of the range


@pytest.mark.parametrize("norm", DUAL)
def test_classes_beyond_the_candidates_are_not_considered(norm):
    model, images, labels, exact = _linear(30)
    few, all_ = (_run(model, images, labels, norm=norm, candidates=c) for c in (1, 29))
    nearer = exact(norm, 1) > exact(norm) * 1.05
    assert int(nearer.sum()) > 0
    far, near = (distance(result.images, images, norm) for result in (few, all_))
    assert (near < far)[nearer].all()
    assert (all_.backwards == 29).all() and (few.backwards <= 3).all()


def test_one_row_of_two_pixels():
    model, images, labels, exact = _linear(2, (1, 1, 2))
    result = _run(model, images, labels, norm="l2", candidates=1)
    near = (exact("l2") < 0.3) & (exact("l2") > 1e-3)
    assert int(near.sum()) > 5
    ratio = distance(result.images, images, "l2") / exact("l2")
    assert ratio[near].max() < 1.02


@pytest.mark.parametrize("norm", DUAL)
def test_examples_of_a_network_are_tight(norm, net):
    """What is found is misclassified and in [0, 1], and a little nearer it is no more."""
    model, images, labels = net
    result = _run(*net, norm=norm)
    assert (model(result.images).argmax(1) != labels).all()
    assert admissible(result.images, images, norm, 10.0).all()
    offset = result.images - images
    size = distance(result.images, images, norm).float().view(-1, 1, 1, 1) * 0.998
    closer = offset.clamp(-size, size) if norm == "linf" else offset * 0.998
    assert (model((images + closer).clamp(0, 1)).argmax(1) == labels).all()
    assert (result.success_query > 0).all() and (result.success_query <= result.forwards).all()
    assert (result.backwards % 3 == 0).all() and (result.backwards > 0).all()


@pytest.mark.parametrize("norm", DUAL)
def test_more_steps_never_fell_fewer(norm, net):
    found = [
        set(_run(*net, norm=norm, steps=s).success_query.nonzero()[:, 0].tolist()) for s in (1, 50)
    ]
    assert found[0] <= found[1] and len(found[1]) == 16


def test_pixels_at_the_end_of_the_range_are_left_out():
    """The steepest pixel is at 1 already: the way leads over the others."""
    weights = torch.tensor([10.0, 1.0, 1.0, 1.0])
    model = lambda points: torch.stack(  # noqa: E731
        [torch.zeros(len(points)), (points.flatten(1) * weights).sum(1) - 11.0], 1
    )
    images = torch.tensor([1.0, 0.2, 0.2, 0.2]).view(1, 1, 2, 2)
    result = _run(model, images, torch.tensor([0]), norm="l2", steps=2)
    assert distance(result.images, images, "l2").item() == pytest.approx(0.4 / 3**0.5, rel=2e-3)


@pytest.mark.parametrize("overshoot", (0.0, 0.02, 0.2))
def test_steps_are_newtons_on_a_curve(overshoot):
    """One pixel s, margin 0.5^3 - (1 - s)^3: the boundary is at 0.5, steps fall short of it."""
    images, labels = torch.full((1, 1, 1, 1), 0.2), torch.tensor([0])

    def model(points):
        pixel = points.flatten(1)
        return torch.cat([pixel * 0, 0.125 - (1 - pixel) ** 3], 1)

    total, steps = 0.0, 0
    while (place := 0.2 + (1 + overshoot) * total) <= 0.5:
        total += ((1 - place) ** 3 - 0.125) / (3 * (1 - place) ** 2) + 1e-4
        steps += 1
    result = _run(model, images, labels, norm="l2", overshoot=overshoot)
    assert int(result.backwards) == steps >= 2
    assert 0.5 < result.images.item() < 0.5 + 1e-3


@pytest.mark.parametrize("batch", (1, 7, 128))
def test_an_image_knows_nothing_of_the_others(batch, net):
    model, images, labels = net
    whole = distance(_run(*net, norm="l2").images, images, "l2")
    alone = [
        distance(
            _run(BatchedModel(model, batch), image[None], label[None], norm="l2").images,
            image,
            "l2",
        )
        for image, label in zip(images, labels, strict=True)
    ]
    torch.testing.assert_close(torch.cat(alone), whole, rtol=1e-3, atol=1e-6)


def test_nothing_is_random(net):
    first, second = (_run(*net, norm="linf", seed=seed).images for seed in (0, 1))
    assert torch.equal(first, second)


def test_images_out_of_reach_and_wrong_ones(net):
    _, images, _ = net
    labels = torch.tensor([0, 1] * 8)
    constant = lambda points: points.flatten(1)[:, :1] * 0 + torch.tensor([1.0, 0.0])  # noqa: E731
    result = _run(constant, images, labels, norm="l2", steps=4)
    assert torch.equal(result.images, images)
    assert torch.equal(result.success_query, labels)  # the clean look finds the wrong ones
    assert torch.equal(result.backwards, (1 - labels) * 4)


@pytest.mark.parametrize(
    "change", [{"norm": "l1"}, {"steps": 0}, {"candidates": 0}, {"overshoot": -0.1}], ids=str
)
def test_bad_settings_raise(change, net):
    with pytest.raises(ValueError, match=next(iter(change))):
        _run(*net, **{"norm": "l2", **change})
