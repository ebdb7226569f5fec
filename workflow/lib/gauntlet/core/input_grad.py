"""Gradients of convolutions on images of few channels, faster than PyTorch's own.

An attack needs the gradient by the image, which a network's first convolution gives. A CPU's
kernels work on blocks of 8 or 16 channels; for an image of one channel they compute many that
are not needed. One multiplication by the weights and a sum of shifted results (`fold`) give the
same.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import conv2d, fold

MOST = {torch.float32: 4, torch.bfloat16: 1, torch.float16: 1}  # channels up to which it is faster


class Grid(NamedTuple):
    """Where a kernel is applied: for each setting height and width."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]


def for_images(*args, **kwargs) -> Tensor | None:
    """Do as `conv2d`, with a gradient by the images alone; None: PyTorch's own way is to be taken.

    Weights and biases that are parameters get none. Where they are computed from something that has
    a gradient, PyTorch's own way is taken.
    """
    plan = _plan(*args, **kwargs)
    if plan is None or not plan[0].requires_grad or _is_computed(*plan[1:3]):
        return None
    return _NarrowConvolution.apply(*plan)


def _plan(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Give images, weight, bias and Grid of a convolution on few channels, else None.

    Arguments are those of `torch.nn.functional.conv2d`, by its names.
    """
    if not isinstance(input, Tensor) or not isinstance(weight, Tensor):
        return None
    few = weight.shape[1] <= MOST[torch.float32] and weight.shape[2:].numel() > 1
    if not few or groups != 1 or input.dim() != 4 or input.device.type != "cpu":
        return None
    sizes = [_pair(value) for value in (stride, padding, dilation)]
    return None if None in sizes else (input, weight, bias, Grid(*sizes))


def _is_computed(weight: Tensor, bias: Tensor | None) -> bool:
    return weight.grad_fn is not None or (bias is not None and bias.grad_fn is not None)


def _pair(value) -> tuple[int, int] | None:
    """Give height and width of one whole number, or of one or two; None for anything else."""
    numbers = tuple(value) if isinstance(value, tuple | list) else (value,)
    if len(numbers) not in (1, 2) or not all(isinstance(number, int) for number in numbers):
        return None
    return numbers[0], numbers[-1]


class _NarrowConvolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx, images, weight, bias, grid: Grid):
        ctx.save_for_backward(weight)
        ctx.size, ctx.kind, ctx.grid = images.shape, images.dtype, grid
        return conv2d(images, weight, bias, *grid)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        narrow = ctx.saved_tensors[0].to(gradient.dtype)
        return _by_images(ctx.size, narrow, gradient, ctx.grid).to(ctx.kind), None, None, None


def _by_images(size, weight: Tensor, gradient: Tensor, grid: Grid) -> Tensor:
    if weight.shape[1] > MOST.get(gradient.dtype, 0) or torch.is_grad_enabled():
        return torch.nn.grad.conv2d_input(size, weight, gradient, *grid)
    if _is_last(gradient):
        return _shifted_sum(size, weight, gradient, grid)
    spread = weight.flatten(1).t().expand(len(gradient), -1, -1)  # [N, C*kh*kw, out]
    columns = torch.bmm(spread, gradient.flatten(2))  # [N, C*kh*kw, places]
    return fold(columns, size[2:], weight.shape[2:], **grid._asdict())  # [N, C, H, W]


def _is_last(gradient: Tensor) -> bool:
    last = gradient.is_contiguous(memory_format=torch.channels_last)
    return last and not gradient.is_contiguous()


def _rows(gradient: Tensor) -> Tensor:
    """Give a gradient [N, out, h, w], whose channels come last, as [N*h*w, out] without a copy."""
    return gradient.permute(0, 2, 3, 1).reshape(-1, gradient.shape[1])


def _shifted_sum(size, weight: Tensor, gradient: Tensor, grid: Grid) -> Tensor:
    """Give the gradient by the images: a multiplication, and a sum of shifted results."""
    columns = weight.flatten(1).t() @ _rows(gradient).t()  # [C*kh*kw, N*h*w]
    kernel, places = weight.shape[1:], gradient.shape[2:]
    columns = columns.float().view(*kernel, len(gradient), *places).transpose(0, 3)
    height, width = (side + 2 * more for side, more in zip(size[2:], grid.padding, strict=True))
    image = columns.new_zeros(*size[:2], height, width)
    for i in range(kernel[1]):
        for j in range(kernel[2]):
            row, column = i * grid.dilation[0], j * grid.dilation[1]
            down = slice(row, row + (places[0] - 1) * grid.stride[0] + 1, grid.stride[0])
            across = slice(column, column + (places[1] - 1) * grid.stride[1] + 1, grid.stride[1])
            image[:, :, down, across] += columns[:, i, j]
    top, left = grid.padding
    return image[:, :, top : top + size[2], left : left + size[3]]
