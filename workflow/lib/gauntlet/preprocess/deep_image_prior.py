"""Deep Image Prior: what an untrained network comes to when it is fitted to the image."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu, unfold

from gauntlet.preprocess.base.content_streams import content_streams
from gauntlet.preprocess.base.substitutes import as_if_unchanged

MACS = "iterations * 3 * (2 * 9 * channels ** 2 + channels) * places"
NOISE = 0.1  # of the network's input, uniform from 0


def deep_image_prior(
    shape: tuple[int, int, int],
    *,
    iterations: int = 100,
    channels: int = 16,
    learning_rate: float = 0.01,
) -> nn.Module:
    """Fit a small convolutional network of its own to each image [N, C, H, W], and stop early.

    The network makes an image from fixed noise; after `iterations` steps of Adam it has the image's
    large structures and not yet its perturbation. Noise and first weights come from a random stream
    that depends on the image's content alone, so that the result is the same in every batch. An
    adaptive attack takes the step as if it changed nothing (BPDA). Source: Ulyanov et al. 2018,
    "Deep Image Prior". Departure: two levels without skips instead of five.
    """
    return _DeepImagePrior(shape, iterations, channels, learning_rate)


class _DeepImagePrior(nn.Module):
    def __init__(self, shape: tuple[int, int, int], iterations: int, channels: int, rate: float):
        super().__init__()
        self.shape, self.channels = shape, channels
        self.iterations, self.rate = iterations, rate

    def forward(self, images: Tensor) -> Tensor:
        with torch.inference_mode(False), torch.enable_grad():
            made = self._fitted(images.detach().clone())
        return as_if_unchanged(images, made)

    def _fitted(self, images: Tensor) -> Tensor:
        """Fit N networks side by side; sums keep them apart, so that none sees another."""
        noise, weights = self._start(images)
        optimizer = torch.optim.Adam(weights, self.rate)
        for _ in range(self.iterations):
            loss = (_made(noise, weights, images.shape) - images).square().sum()
            gradients = torch.autograd.grad(loss, weights)
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.grad = gradient
            optimizer.step()
        with torch.no_grad():
            return _made(noise, weights, images.shape)

    def _start(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Draw each image's noise [N, c, h, w] and weights [N, out, in] of three layers."""
        streams = content_streams(images, 0, "deep image prior")
        depth, height, width = self.shape
        size, device = self.channels, images.device
        low = ((height + 1) // 2, (width + 1) // 2)
        noise = NOISE * streams.fork("noise").uniform(size, *low, device=device)
        sizes = ((size, 9 * size), (size, 9 * size), (depth, size))
        weights = [
            streams.fork("layer", number).normal(*whole, device=device) * (2 / whole[1]) ** 0.5
            for number, whole in enumerate(sizes)
        ]
        return noise, [weight.requires_grad_(True) for weight in weights]


def _made(noise: Tensor, weights: list[Tensor], shape: torch.Size) -> Tensor:
    """Give what each network makes of its noise: [N, C, H, W]."""
    inner = _convolved(noise, weights[0])
    wide = interpolate(inner, size=shape[2:], mode="bilinear", align_corners=False)
    outer = _convolved(wide, weights[1])
    return (weights[2] @ outer.flatten(2)).view(shape).sigmoid()


def _convolved(values: Tensor, weight: Tensor) -> Tensor:
    """Convolve each image [c, h, w] by its own weights [c, 9 c]; normalized, then leaky ReLU."""
    found = (weight @ unfold(values, 3, padding=1)).view_as(values)
    spread, mean = torch.var_mean(found, (2, 3), keepdim=True)
    return leaky_relu((found - mean) / (spread + 1e-5).sqrt(), 0.1)
