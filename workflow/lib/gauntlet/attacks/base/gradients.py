"""Lengths and directions of gradients of any size: squares of small float32 numbers underflow."""

import torch
from torch import Tensor

from gauntlet.core.threat_models import per_image


def length(gradient: Tensor, order: float = 2) -> Tensor:
    """Give the norm [M] of each image's gradient [M, ...], of order 2 in float64."""
    kind = torch.float64 if order == 2 else None  # other orders take no squares
    return torch.linalg.vector_norm(gradient.flatten(1), order, dim=1, dtype=kind)


def unit(gradient: Tensor) -> Tensor:
    """Scale each image's gradient [M, C, H, W] to l2 length 1; one that is zero stays zero."""
    norms = length(gradient)
    scaled = gradient.double() / per_image(torch.where(norms > 0, norms, 1.0))
    return scaled.to(gradient.dtype)
