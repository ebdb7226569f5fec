"""A random square of each training image is cut out, or taken from another image."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

SIDE = 0.5  # of a cutout, as a share of the image's side


def cutout(images: Tensor, labels: Tensor, generator: torch.Generator, classes: int):
    """Make a square of each image black; it may reach over the border: images [N, C, H, W].

    Source: DeVries & Taylor 2017, "Improved Regularization of Convolutional Neural Networks with
    Cutout". Labels stay as they are. Departure: black, where the paper takes the mean.
    """
    count, _, height, width = images.shape
    inside = _inside(height, SIDE, count, generator)[:, :, None]
    inside = inside & _inside(width, SIDE, count, generator)[:, None, :]
    return images.masked_fill(inside[:, None].to(images.device), 0.0), labels


def cutmix(images: Tensor, labels: Tensor, generator: torch.Generator, classes: int):
    """Take a box of each image from another one, and mix their labels [N, K] by area.

    Source: Yun et al. 2019, "CutMix": one box for the batch, whose area is U(0, 1) of the image
    before it is cut at the border.
    """
    count, _, height, width = images.shape
    side = float(torch.rand((), generator=generator)) ** 0.5
    other = torch.randperm(count, generator=generator).to(images.device)
    inside = _inside(height, side, 1, generator)[:, :, None]
    inside = (inside & _inside(width, side, 1, generator)[:, None, :]).to(images.device)
    share = inside.float().mean()
    truth = one_hot(labels, classes).float()
    mixed = torch.where(inside[:, None], images[other], images)
    return mixed, (1 - share) * truth + share * truth[other]


def none(images: Tensor, labels: Tensor, generator: torch.Generator, classes: int):
    """Leave images and labels as they are."""
    return images, labels


def _inside(size: int, share: float, count: int, generator: torch.Generator) -> Tensor:
    """Mark the places of a side that lie within a random stretch of it: [N, size]."""
    center = torch.randint(size, (count, 1), generator=generator)
    half = round(share * size) / 2
    places = torch.arange(size)
    return (places >= center - half) & (places < center + half)
