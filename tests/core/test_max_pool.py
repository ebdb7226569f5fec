"""Max pooling by two: PyTorch's numbers and gradients, to the bit."""

import pytest
import torch
from torch import nn
from torch.nn.functional import max_pool2d

from gauntlet.core import max_pool
from gauntlet.core.fast_layers import FastLayers

FORMATS = {"first": torch.contiguous_format, "last": torch.channels_last}
SHAPES = [(2, 8, 16, 16), (3, 7, 15, 14), (2, 5, 28, 31), (9, 64, 3, 3), (1, 1, 64, 64)]


def _images(shape, kind=torch.float32, layout="first"):
    torch.manual_seed(0)
    images = torch.randint(-2, 3, shape) / 2  # many neighbors are equal
    return images.to(kind).contiguous(memory_format=FORMATS[layout]).requires_grad_()


def _found(call, images):
    values = call(images)
    outer = torch.linspace(-1, 1, values.numel()).view(values.shape).to(values.dtype)
    return values, torch.autograd.grad(values, images, outer)[0]


@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("kind", max_pool.KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients_are_those_of_pytorch(shape, kind, layout):
    images = _images(shape, kind, layout)
    for ours, theirs in zip(
        _found(max_pool._HalvedMaximum.apply, images),
        _found(lambda x: max_pool2d(x, 2), images),
        strict=True,
    ):
        assert ours.dtype == kind and torch.equal(ours, theirs)


def test_each_value_that_wins_against_equal_ones_has_the_gradient():
    for places in range(1, 16):  # which of a window's four values are the largest
        bits = [(places >> bit) & 1 for bit in range(4)]
        images = torch.tensor(bits).float().view(1, 1, 2, 2).requires_grad_()
        _, gradient = _found(max_pool._HalvedMaximum.apply, images)
        assert gradient.flatten().nonzero().flatten().tolist() == [bits.index(1)]


def test_the_mode_takes_it_for_layers_and_functions(monkeypatch):
    calls = []
    own = max_pool._HalvedMaximum.apply
    monkeypatch.setattr(max_pool._HalvedMaximum, "apply", lambda x: calls.append(1) or own(x))
    images = _images((2, 8, 32, 32))
    with FastLayers():
        found = [nn.MaxPool2d(2)(images), max_pool2d(images, (2, 2)), torch.max_pool2d(images, 2)]
    assert len(calls) == 3
    assert all(torch.equal(one, max_pool2d(images, 2)) for one in found)


@pytest.mark.parametrize(
    "settings",
    [
        *({"kernel_size": 3}, {"kernel_size": 2, "stride": 1}, {"kernel_size": (2, 1)}),
        *({"kernel_size": 2, "padding": 1}, {"kernel_size": 2, "ceil_mode": True}),
        *({"kernel_size": 2, "dilation": 2}, {"kernel_size": 2, "return_indices": True}),
    ],
)
def test_other_windows_are_left_to_pytorch(settings):
    images = _images((2, 8, 33, 33))
    assert max_pool.pooled(images, **settings) is None
    with FastLayers():
        found = max_pool2d(images, **settings)
    plain = max_pool2d(images, **settings)
    found, plain = (one if isinstance(one, tuple) else (one,) for one in (found, plain))
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(found, plain, strict=True))


def test_no_numbers_stay_no_numbers_and_small_or_integer_images_are_left_to_pytorch():
    images = _images((1, 4, 32, 32)).detach().clone()
    images[0, 0, 3, 5] = torch.nan
    with FastLayers():
        found = max_pool2d(images, 2).isnan()
    assert found.nonzero().tolist() == [[0, 0, 1, 2]]
    assert max_pool.pooled(images[:, :1, :4, :4], 2) is None
    assert max_pool.pooled(images.double(), 2) is None
    assert max_pool.pooled(images[0], 2) is None


def test_a_gradient_can_be_differentiated_again():
    def curvature(call):
        images = _images((1, 4, 34, 35), layout="last")
        value = call(images.pow(3)).pow(2).sum()
        (first,) = torch.autograd.grad(value, images, create_graph=True)
        return first, torch.autograd.grad(first.square().sum(), images)[0]

    pairs = zip(
        curvature(max_pool._HalvedMaximum.apply), curvature(lambda x: max_pool2d(x, 2)), strict=True
    )
    for ours, theirs in pairs:
        assert torch.equal(ours, theirs)
