"""Filters of images [N, C, H, W] that several steps use."""

from torch import Tensor
from torch.nn.functional import pad


def rounded(images: Tensor, bits: int) -> Tensor:
    """Round to 2 ** bits gray levels."""
    steps = 2**bits - 1
    return (images * steps).round() / steps


def median(images: Tensor, size: int) -> Tensor:
    """Take the median of the size x size window around every pixel; the border is repeated."""
    before, after = (size - 1) // 2, size // 2
    framed = pad(images, (before, after, before, after), mode="replicate")
    windows = framed.unfold(2, size, 1).unfold(3, size, 1).flatten(4)
    # sorted, because PyTorch's own median has no deterministic gradient on a GPU
    return windows.sort(4).values[..., (size * size - 1) // 2]
