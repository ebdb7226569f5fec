"""Convolutions on few channels: the same gradients as PyTorch's own."""

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from gauntlet.core.fast_layers import FastLayers
from gauntlet.core.input_grad import for_images


def _gradient(model, images, mode):
    leaf = images.clone().requires_grad_(True)
    with mode:
        values = model(leaf)
    return torch.autograd.grad(values.float().square().sum(), leaf)[0]


@pytest.mark.parametrize("channels", [1, 3, 4, 5])
@pytest.mark.parametrize(
    "shape",
    [
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": 5, "stride": 2, "padding": 2},
        {"kernel_size": (3, 2), "stride": (2, 1), "padding": (0, 1), "dilation": (2, 1)},
        {"kernel_size": 3, "padding": "same"},
        {"kernel_size": 3, "padding": 1, "padding_mode": "reflect"},
        {"kernel_size": 1},
    ],
)
def test_the_gradient_is_the_same(channels, shape):
    torch.manual_seed(0)
    layer = nn.Sequential(nn.Conv2d(channels, 6, **shape), nn.Tanh()).requires_grad_(False)
    images = torch.rand(3, channels, 11, 9)
    plain = _gradient(layer, images, torch.enable_grad())
    assert torch.allclose(_gradient(layer, images, FastLayers(for_images)), plain, atol=1e-5)


def test_groups_and_single_images_keep_pytorchs_own_way():
    torch.manual_seed(0)
    weight = torch.randn(4, 1, 3, 3)
    for call in (
        lambda images: conv2d(images, weight, groups=2),
        lambda images: conv2d(input=images, weight=weight, groups=2),
        lambda images: conv2d(images[0], weight[:, :1].expand(-1, 2, -1, -1)),
    ):
        images = torch.rand(2, 2, 8, 8)
        plain = _gradient(call, images, torch.enable_grad())
        assert torch.equal(_gradient(call, images, FastLayers(for_images)), plain)


SIZES = torch.linspace(0.5, 1.5, 36).view(4, 1, 3, 3)
COMPUTED = {
    "kernel of the image": lambda x, w, b: conv2d(x, w * x.mean(), b),
    "bias of the image": lambda x, w, b: conv2d(x, w, b * x.mean()),
    "kernel as a keyword": lambda x, w, b: conv2d(x, weight=w * x.amax(), bias=b),
    "kernel of one image": lambda x, w, b: conv2d(x, w * x[0].mean()),
    "both": lambda x, w, b: conv2d(x, w * x.std(), b * x.mean(), stride=2),
}


@pytest.mark.parametrize("name", COMPUTED)
def test_kernels_that_depend_on_the_image_have_their_gradient(name):
    images, bias = torch.rand(3, 1, 8, 8), torch.linspace(-1, 1, 4)

    def call(images):
        return COMPUTED[name](images, SIZES, bias)

    plain = _gradient(call, images, torch.enable_grad())
    assert torch.equal(_gradient(call, images, FastLayers(for_images)), plain)


def test_a_normalized_kernel_has_its_gradient():
    torch.manual_seed(0)
    layer = nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 4, 3))
    images = torch.rand(3, 1, 8, 8)
    plain = _gradient(layer, images, torch.enable_grad())
    assert torch.allclose(_gradient(layer, images, FastLayers(for_images)), plain, atol=1e-6)


@pytest.mark.parametrize(
    "sizes",
    [
        *({"stride": (2,)}, {"stride": [2]}, {"padding": (1,)}, {"dilation": (2,)}),
        *({"stride": torch.Size([2])}, {"stride": 2, "padding": (1, 0)}),
    ],
)
def test_sizes_of_any_form_that_pytorch_takes(sizes):
    def call(images):
        return conv2d(images, SIZES, **sizes).tanh()

    images = torch.rand(3, 1, 9, 9)
    plain = _gradient(call, images, torch.enable_grad())
    assert torch.allclose(_gradient(call, images, FastLayers(for_images)), plain, atol=1e-5)


def test_an_image_by_its_batch_changes_no_bit():
    torch.manual_seed(0)
    layer, images = nn.Conv2d(1, 8, 3, padding=1).requires_grad_(False), torch.rand(64, 1, 28, 28)
    whole = _gradient(layer, images, FastLayers(for_images))
    parts = [_gradient(layer, part, FastLayers(for_images)) for part in images.split(8)]
    assert torch.equal(torch.cat(parts), whole)


def test_lower_precision_stays_near():
    torch.manual_seed(0)
    layer, images = nn.Conv2d(1, 8, 3, padding=1).requires_grad_(False), torch.rand(4, 1, 12, 12)
    plain = _gradient(layer, images, torch.enable_grad())
    with torch.autocast("cpu", torch.bfloat16):
        near = _gradient(layer, images, FastLayers(for_images))
    assert near.dtype == torch.float32
    assert (near - plain).abs().max() < 0.03 * plain.abs().max()


SHAPED = [
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": 5, "stride": 2, "padding": 2},
    {"kernel_size": (3, 2), "stride": (2, 1), "padding": (0, 1), "dilation": (2, 1)},
]


class _ChannelsLast(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values):
        return values.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient.contiguous(memory_format=torch.channels_last)


class Last(nn.Module):
    """Give values whose gradient comes back with the channels last in memory."""

    def forward(self, values):
        return _ChannelsLast.apply(values)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", SHAPED)
def test_a_gradient_with_the_channels_last_is_the_same(channels, shape):
    torch.manual_seed(0)
    layer, images = nn.Conv2d(channels, 6, **shape), torch.rand(3, channels, 11, 9)
    plain = _gradient(layer, images, torch.enable_grad())
    found = _gradient(nn.Sequential(layer, Last()), images, FastLayers(for_images))
    assert found.shape == plain.shape and torch.allclose(found, plain, atol=1e-4)
