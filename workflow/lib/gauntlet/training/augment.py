"""Augmentation of training batches, as tensor operations."""

import torch
from torch import Tensor
from torch.nn.functional import pad

BORDER = 4  # pixels of zero padding before the random crop


def flip_crop(images: Tensor, generator: torch.Generator) -> Tensor:
    """Flip half of the images and crop each at random from a padded frame: [N, C, H, W]."""
    count, _, height, width = images.shape
    flips = torch.rand(count, generator=generator) < 0.5
    images = torch.where(flips.view(-1, 1, 1, 1).to(images.device), images.flip(3), images)
    shifts = torch.randint(0, 2 * BORDER + 1, (2, count), generator=generator).to(images.device)
    rows = shifts[0].view(-1, 1) + torch.arange(height, device=images.device)
    columns = shifts[1].view(-1, 1) + torch.arange(width, device=images.device)
    framed = pad(images, (BORDER,) * 4).permute(0, 2, 3, 1)
    index = torch.arange(count, device=images.device).view(-1, 1, 1)
    return framed[index, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def none(images: Tensor, generator: torch.Generator) -> Tensor:
    """Leave the images as they are."""
    return images
