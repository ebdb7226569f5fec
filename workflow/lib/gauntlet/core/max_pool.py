"""Max pooling by two, with the same numbers as PyTorch's own and in a fraction of its time.

A CPU's kernel visits each window on its own and writes 64 bits for where its maximum was. Here the
maximum is taken of halves of the image, and differences say where it was.
"""

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

FUNCTIONS = (max_pool2d, torch.max_pool2d)
LEAST = 1 << 12  # values below which calls from Python take longer than they save
KINDS = (torch.float32, torch.bfloat16, torch.float16)
LAST = torch.channels_last
step_back = torch.ops.aten.threshold_backward  # the gradient where a value is above 0


def pooled(*args, **kwargs) -> Tensor | None:
    """Do as `torch.nn.functional.max_pool2d`; None where PyTorch's own way is to be taken.

    Finite numbers and gradients are PyTorch's to the bit: of equal values the first one gets the
    gradient. Of 0 and -0 either may be given.
    """
    return _pool(*args, **kwargs)


def _pool(
    input,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode=False,
    return_indices=False,
):
    twice = _all(kernel_size, 2) and (stride in (None, (), []) or _all(stride, 2))
    plain = _all(padding, 0) and _all(dilation, 1) and not ceil_mode and not return_indices
    if not (twice and plain and _fits(input)):
        return None
    return _HalvedMaximum.apply(input)


def _all(sizes, wanted: int) -> bool:
    numbers = sizes if isinstance(sizes, tuple | list) else (sizes,)
    return all(isinstance(number, int) and number == wanted for number in numbers)


def _fits(input) -> bool:
    if type(input) is not Tensor or input.device.type != "cpu" or input.dtype not in KINDS:
        return False
    if input.layout is not torch.strided:
        return False
    large = input.dim() == 4 and input.numel() >= LEAST and min(input.shape[2:]) > 1
    return large and (input.is_contiguous() or input.is_contiguous(memory_format=LAST))


class _HalvedMaximum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, image: Tensor):
        ctx.size, ctx.last = image.shape, _is_last(image)
        image = _even(image)  # [N, C, 2h, 2w]
        left, right = image[..., 0::2], image[..., 1::2]
        columns = torch.maximum(left, right)  # [N, C, 2h, w]
        upper, lower = columns[..., 0::2, :], columns[..., 1::2, :]
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(right - left, lower - upper)
        return torch.maximum(upper, lower)  # [N, C, h, w]

    @staticmethod
    def backward(ctx, gradient: Tensor):
        across, down = ctx.saved_tensors
        if torch.is_grad_enabled():  # this gradient is differentiated again
            return _padded(_joined(_joined(gradient, down, 3), across, 4), ctx.size)
        fill = _fill_last if ctx.last else _fill
        gradient = gradient.contiguous(memory_format=_kept(ctx.last))
        columns = _empty(gradient, across.shape, ctx.last)
        fill(columns[..., 0::2, :], columns[..., 1::2, :], gradient, down)
        image = _empty(gradient, ctx.size, ctx.last)
        inner = _even(image)
        if inner.shape != image.shape:
            image.zero_()
        fill(inner[..., 0::2], inner[..., 1::2], columns, across)
        return image


def _is_last(image: Tensor) -> bool:
    return image.is_contiguous(memory_format=LAST) and not image.is_contiguous()


def _even(image: Tensor) -> Tensor:
    height, width = image.shape[2:]
    return image[..., : height // 2 * 2, : width // 2 * 2]


def _empty(like: Tensor, size, last: bool) -> Tensor:
    return torch.empty(size, dtype=like.dtype, memory_format=_kept(last))


def _kept(last: bool) -> torch.memory_format:
    return LAST if last else torch.contiguous_format


def _fill_last(first: Tensor, second: Tensor, gradient: Tensor, difference: Tensor) -> None:
    """Share a gradient between two halves: the second one's is that where it was larger."""
    step_back.grad_input(gradient, difference, 0, grad_input=second)
    torch.sub(gradient, second, out=first)


def _fill(first: Tensor, second: Tensor, gradient: Tensor, difference: Tensor) -> None:
    """Do as `_fill_last`, faster where neighbors in a row are neighbors in memory."""
    larger = step_back(gradient, difference, 0)
    second.copy_(larger)
    torch.sub(gradient, larger, out=first)


def _joined(gradient: Tensor, difference: Tensor, place: int) -> Tensor:
    """Do as `_fill` with operations that have derivatives: twice as many rows or columns."""
    larger = torch.where(difference > 0, gradient, 0)
    return torch.stack((gradient - larger, larger), place).flatten(place - 1, place)


def _padded(image: Tensor, size) -> Tensor:
    missing = (0, size[3] - image.shape[3], 0, size[2] - image.shape[2])
    return torch.nn.functional.pad(image, missing) if any(missing) else image
