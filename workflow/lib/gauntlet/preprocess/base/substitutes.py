"""Gradients for operations that have none, or a useless one (BPDA).

Source: Athalye et al. 2018, "Obfuscated Gradients Give a False Sense of Security".
"""

from torch import Tensor
from torch.autograd import Function


class _Substitute(Function):
    @staticmethod
    def forward(ctx, images: Tensor, made: Tensor) -> Tensor:
        return made.clone()

    @staticmethod
    def backward(ctx, gradient: Tensor):
        return gradient, None


def as_if_unchanged(images: Tensor, made: Tensor) -> Tensor:
    """Give `made`, with the gradient by `images` that it would have if nothing had been changed."""
    return _Substitute.apply(images, made.detach())


def cut(images: Tensor) -> Tensor:
    """Cut values to [0, 1], with the gradient 1 also where they lie outside."""
    return as_if_unchanged(images, images.clamp(0, 1))
