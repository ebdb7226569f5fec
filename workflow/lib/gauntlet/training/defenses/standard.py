"""Plain training: the baseline."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


def standard(model, images: Tensor, labels: Tensor, *, generator: torch.Generator) -> Tensor:
    """Give the cross-entropy on clean images [N, C, H, W] with labels [N]."""
    return cross_entropy(model(images), labels)
