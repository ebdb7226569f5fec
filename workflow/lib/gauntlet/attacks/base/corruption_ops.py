"""Common corruptions in five severities, by name: images [N, C, H, W] in [0, 1] in and out.

Sizes that the benchmarks give in pixels of 28 or 32 are scaled to the image's side. Sources:
Hendrycks & Dietterich 2019, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations"; Mu & Gilmer 2019, "MNIST-C". The code and the severities' scales are our own.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, conv2d, grid_sample, interpolate, pad

from gauntlet.attacks.base.jpeg import compressed
from gauntlet.core.image_rng import Streams

SIDE = 32  # pixels of the images for which sizes below are given
DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))  # of motion: down, across


def gaussian_noise(images: Tensor, severity: int, streams: Streams) -> Tensor:
    """Add normal noise."""
    return images + (0.04, 0.08, 0.12, 0.18, 0.26)[severity] * _normal(images, streams)


def speckle_noise(images: Tensor, severity: int, streams: Streams) -> Tensor:
    """Add normal noise in proportion to brightness."""
    return images + images * (0.15, 0.25, 0.35, 0.5, 0.7)[severity] * _normal(images, streams)


def shot_noise(images: Tensor, severity: int, streams: Streams) -> Tensor:
    """Add the noise of counting few photons, by its normal limit."""
    photons = (60, 30, 16, 8, 4)[severity]
    return images + (images / photons).sqrt() * _normal(images, streams)


def impulse_noise(images: Tensor, severity: int, streams: Streams) -> Tensor:
    """Turn some pixels black or white."""
    share = (0.02, 0.05, 0.08, 0.14, 0.22)[severity]
    draw = streams.uniform(*images.shape[1:], device=images.device)
    return torch.where(draw < share / 2, 0.0, torch.where(draw > 1 - share / 2, 1.0, images))


def gaussian_blur(images: Tensor, severity: int, streams: Streams) -> Tensor:
    """Blur with a Gaussian kernel."""
    sigma = max((0.4, 0.6, 0.8, 1.1, 1.5)[severity] * _scale(images), 0.4 + 0.1 * severity)
    reach = max(1, math.ceil(3 * sigma))
    line = torch.exp(-torch.arange(-reach, reach + 1).float().square() / (2 * sigma**2))
    return _filtered(_filtered(images, line[None, :]), line[:, None])


def defocus_blur(images: Tensor, severity: int, streams: Streams) -> Tensor:
    """Blur with a disk."""
    radius = max((0.7, 1.0, 1.4, 1.9, 2.5)[severity] * _scale(images), 0.6 + 0.1 * severity)
    reach = max(1, math.ceil(radius))
    line = torch.arange(-reach, reach + 1).float()
    far = (line[:, None].square() + line.square()).sqrt()
    return _filtered(images, (radius + 0.5 - far).clamp(0, 1))


def motion_blur(images: Tensor, severity: int, streams: Streams) -> Tensor:
    """Blur along one of four directions, the image's own."""
    length = (3, 4, 6, 8, 10)[severity] * _scale(images)
    reach = max(1, math.ceil((length - 1) / 2))
    line = ((length + 1) / 2 - torch.arange(-reach, reach + 1).abs()).clamp(0, 1)
    chosen = streams.integers(len(DIRECTIONS), device=images.device)
    blurred = torch.empty_like(images)
    for number, direction in enumerate(DIRECTIONS):
        rows = (chosen == number).nonzero().squeeze(1)
        if len(rows):
            blurred[rows] = _dragged(images[rows], direction, line.tolist())
    return blurred


def zoom_blur(images: Tensor, severity: int, streams: Streams) -> Tensor:
    """Average enlargements of the middle."""
    most = (1.06, 1.11, 1.16, 1.22, 1.31)[severity]
    zooms = torch.linspace(1, most, 6)[1:].tolist()
    return torch.stack([images, *(_zoomed(images, zoom) for zoom in zooms)]).mean(0)


def contrast(images: Tensor, severity: int, streams: Streams) -> Tensor:
    """Move all values towards the image's mean."""
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (0.75, 0.5, 0.4, 0.3, 0.15)[severity] * (images - mean)


def brightness(images: Tensor, severity: int, streams: Streams) -> Tensor:
    """Make everything brighter."""
    return images + (0.05, 0.1, 0.15, 0.2, 0.3)[severity]


def saturate(images: Tensor, severity: int, streams: Streams) -> Tensor:
    """Make colors stronger; a gray image stays as it is."""
    gray = images.mean(1, keepdim=True)
    return gray + (1.3, 1.6, 2.0, 2.6, 3.5)[severity] * (images - gray)


def pixelate(images: Tensor, severity: int, streams: Streams) -> Tensor:
    """Reduce the image to fewer pixels, and enlarge it again."""
    share = (0.9, 0.5, 0.4, 0.3, 0.2)[severity]
    size = [max(1, round(share * side)) for side in images.shape[2:]]
    small = interpolate(images, size, mode="area")
    return interpolate(small, images.shape[2:], mode="nearest-exact")


def jpeg(images: Tensor, severity: int, streams: Streams) -> Tensor:
    """Compress and decompress as JPEG does."""
    return compressed(images, (60, 40, 25, 15, 8)[severity])


def fog(images: Tensor, severity: int, streams: Streams) -> Tensor:
    """Blend the image with a cloud of low frequencies."""
    strength = (0.2, 0.3, 0.4, 0.5, 0.65)[severity]
    cloud = torch.zeros_like(images[:, :1])
    for octave, cells in enumerate((2, 4, 8)):
        draw = streams.fork("fog", octave).uniform(1, cells, cells, device=images.device)
        grown = interpolate(draw, images.shape[2:], mode="bilinear", align_corners=False)
        cloud = cloud + grown / 2 ** (octave + 1)
    return images * (1 - strength) + strength * (0.4 + 0.6 * cloud)


def stripe(images: Tensor, severity: int, streams: Streams) -> Tensor:
    """Invert an upright stripe at a place of the image's own; its last column may be partly so."""
    width = images.shape[3]
    wide = (0.06, 0.1, 0.14, 0.18, 0.24)[severity] * width
    first = streams.integers(width - math.ceil(wide) + 1, 1, 1, 1, device=images.device)
    column = torch.arange(width, device=images.device)
    share = (first + wide - column).clamp(0, 1) * (column >= first)
    return images + share * (1 - 2 * images)


CORRUPTIONS = {
    **{"gaussian_noise": gaussian_noise, "speckle_noise": speckle_noise, "shot_noise": shot_noise},
    **{"impulse_noise": impulse_noise, "gaussian_blur": gaussian_blur},
    **{"defocus_blur": defocus_blur, "motion_blur": motion_blur, "zoom_blur": zoom_blur},
    **{"contrast": contrast, "brightness": brightness, "saturate": saturate},
    **{"pixelate": pixelate, "jpeg": jpeg, "fog": fog, "stripe": stripe},
}


def corrupt(images: Tensor, name: str, severity: int, streams: Streams) -> Tensor:
    """Corrupt images at a severity from 1 to 5, cut to [0, 1]."""
    return CORRUPTIONS[name](images, severity - 1, streams.fork(name)).clamp(0, 1)


def _normal(images: Tensor, streams: Streams) -> Tensor:
    return streams.normal(*images.shape[1:], device=images.device)


def _scale(images: Tensor) -> float:
    return max(min(images.shape[2:]) / SIDE, 0.5)  # on smaller images a smaller scale has no effect


def _filtered(images: Tensor, kernel: Tensor) -> Tensor:
    """Average with a kernel [K, L] of odd sides; borders are repeated."""
    channels, (down, across) = images.shape[1], (side // 2 for side in kernel.shape)
    weight = (kernel / kernel.sum()).to(images.device).expand(channels, 1, *kernel.shape)
    wide = pad(images, (across, across, down, down), mode="replicate")
    return conv2d(wide, weight, groups=channels)


def _dragged(images: Tensor, direction: tuple[int, int], line: list[float]) -> Tensor:
    """Average along a direction (down, across) with the weights of a line; borders are repeated.

    A sum of shifted images is faster than a square kernel, which is zero almost everywhere.
    """
    (height, width), reach = images.shape[2:], len(line) // 2
    wide, total = pad(images, (reach,) * 4, mode="replicate"), torch.zeros_like(images)
    for place, weight in enumerate(line):
        top, left = (reach + step * (place - reach) for step in direction)
        total += weight / sum(line) * wide[:, :, top : top + height, left : left + width]
    return total


def _zoomed(images: Tensor, zoom: float) -> Tensor:
    """Enlarge around the middle, by any factor: the image's sides need not grow by whole pixels."""
    shrink = torch.eye(2, 3, device=images.device) / zoom
    shape = list(images.shape)
    places = affine_grid(shrink.expand(shape[0], -1, -1), shape, align_corners=False)
    return grid_sample(images, places, "bilinear", "border", align_corners=False)
