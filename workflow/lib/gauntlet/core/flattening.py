"""Flattening of values whose channels come last in memory, with a gradient laid out like them.

PyTorch's own gradient comes back with channels first: every operation before it then works on two
formats at once, which a CPU does many times slower.
"""

import torch
from torch import Tensor

FUNCTIONS = (torch.flatten, Tensor.flatten)
LAST = torch.channels_last


def flattened(*args, **kwargs) -> Tensor | None:
    """Do as `torch.flatten`, with the same numbers; None where PyTorch's way is to be taken."""
    return _flatten(*args, **kwargs)


def _flatten(input, start_dim=0, end_dim=-1):
    plain = type(input) is Tensor and input.dim() == 4 and input.device.type == "cpu"
    plain = plain and input.layout is torch.strided
    if not plain or start_dim != 1 or end_dim not in (-1, 3) or not input.requires_grad:
        return None
    last = input.is_contiguous(memory_format=LAST) and not input.is_contiguous()
    return _Flatten.apply(input) if last else None


class _Flatten(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: Tensor):
        ctx.size = values.shape
        return values.flatten(1)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        return gradient.reshape(ctx.size).contiguous(memory_format=LAST)
