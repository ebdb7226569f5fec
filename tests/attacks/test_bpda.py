"""Straight through: the model's own answers, and gradients past what hides them."""

import pytest
import torch
from torch import nn

from gauntlet.attacks.base.bpda import StraightThrough
from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.rng import fixed_draws
from tests.helpers import tricks

torch.manual_seed(0)
NETWORK = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5)).eval()
IMAGES = torch.rand(11, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def without_gradients(images):
    with torch.no_grad():
        images = images * 1.0
    return NETWORK(images)


class Lying(torch.autograd.Function):
    """New style, with a setup_context; the backward pass turns the gradient's sign."""

    @staticmethod
    def forward(values):
        return values * 2

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, gradient):
        return -gradient


HIDDEN = {
    "round": lambda images: NETWORK((images * 4).round() / 4),
    "round in place": lambda images: NETWORK((images * 4).round_() / 4),
    "floor division": lambda images: NETWORK((images // 0.25) * 0.25),
    "division that rounds": lambda images: NETWORK(images.div(0.25, rounding_mode="floor") / 4),
    "detach": lambda images: NETWORK(images.detach()),
    "data": lambda images: NETWORK(images.data),
    "no_grad": without_gradients,
    "bytes": lambda images: NETWORK((images * 255).to(torch.uint8).float() / 255),
    "thresholds": lambda images: NETWORK(sum((images > t).float() for t in (0.3, 0.6)) / 2),
    "thresholds that fall": lambda images: NETWORK(1 - (images < 0.5).float()),
}


def first(logits, rows):
    return logits[:, 0]


def gradient(model):
    return BatchedModel(model).gradient(IMAGES, first)[0]


@pytest.mark.parametrize("name", HIDDEN)
def test_what_cuts_a_gradient_is_passed(name):
    model = HIDDEN[name]
    assert gradient(model).abs().max() == 0
    through = StraightThrough(model)
    found, _, logits = BatchedModel(through).gradient(IMAGES, first)
    assert (found.abs().amax((1, 2, 3)) > 1e-4).all()
    assert torch.allclose(logits, model(IMAGES), atol=1e-6)
    if name in ("detach", "data", "no_grad"):
        assert torch.allclose(found, gradient(NETWORK), atol=1e-6)


@pytest.mark.parametrize("name", ["detach", "zero gradient"])
def test_a_mask_is_seen_through_to_the_function_itself(name):
    import copy

    model = tricks.TRICKS[name](copy.deepcopy(NETWORK))
    assert gradient(model).abs().max() == 0
    assert torch.allclose(gradient(StraightThrough(model)), gradient(NETWORK), atol=1e-6)


def test_a_false_backward_pass_is_replaced():
    def model(images):
        return NETWORK(Lying.apply(images))

    right = gradient(lambda images: NETWORK(images * 2))
    assert torch.allclose(gradient(model), -right / 2, atol=1e-6)
    assert torch.allclose(gradient(StraightThrough(model)), right, atol=1e-6)


SQUASHED = {
    "softmax": lambda logits: logits.softmax(1),
    "log of softmax": lambda logits: logits.softmax(1).log(),
    "log_softmax": lambda logits: nn.functional.log_softmax(logits, 1),
    "sigmoid": torch.sigmoid,
}


@pytest.mark.parametrize("squash", SQUASHED.values(), ids=SQUASHED)
def test_a_last_softmax_is_left_out(squash):
    def model(images):
        return squash(50 * NETWORK(images))

    found = gradient(StraightThrough(model))
    assert torch.allclose(found, 50 * gradient(NETWORK), rtol=1e-4, atol=1e-5)


def test_a_softmax_inside_stays():
    def model(images):
        return NETWORK(images.flatten(1).softmax(1).view_as(images))

    assert torch.allclose(gradient(StraightThrough(model)), gradient(model), atol=1e-7)


def test_thresholds_that_must_be_true_or_false_stay():
    def model(images):
        kept = images.clone()
        kept[images > 0.5] = 0.0
        return NETWORK(kept)

    through = StraightThrough(model)
    assert torch.allclose(gradient(through), gradient(model), atol=1e-7)
    assert torch.equal(through(IMAGES), model(IMAGES))


def test_a_choice_by_threshold_keeps_its_answer():
    def model(images):
        return NETWORK(torch.where(images > 0.5, images, torch.zeros_like(images)))

    found, _, logits = BatchedModel(StraightThrough(model)).gradient(IMAGES, first)
    assert torch.allclose(logits, model(IMAGES), atol=1e-6)
    assert not torch.allclose(found, gradient(model), atol=1e-4)  # the threshold has a slope


def test_an_honest_model_is_left_alone():
    assert torch.allclose(gradient(StraightThrough(NETWORK)), gradient(NETWORK), atol=1e-7)


def test_without_gradients_it_is_the_model_itself():
    model = tricks.RandomNoise(NETWORK)
    with torch.no_grad(), fixed_draws(0):
        answers = StraightThrough(model)(IMAGES)
    with torch.no_grad(), fixed_draws(0):
        assert torch.equal(answers, model(IMAGES))
    assert "true_derivatives" not in torch.autograd.Function.apply.__qualname__
