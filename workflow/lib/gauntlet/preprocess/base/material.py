"""What a step learns from: images of the training and the validation part, and the model."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Material:
    """What a step is fitted on; test images are never part of it.

    `images` [N, C, H, W] and `hostile` (the same images attacked, or None) are the training part,
    `validation` [M, C, H, W] the validation part. `model` is in eval mode and without gradients of
    its weights; `generator` gives all random numbers.
    """

    model: nn.Module
    images: Tensor
    validation: Tensor
    generator: torch.Generator
    hostile: Tensor | None = None
