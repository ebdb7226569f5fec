"""Gradients by the input of convolutions on images of few channels, faster than PyTorch's own.

An attack needs the gradient by the image, which a network's first convolution gives. A CPU's
kernels work on blocks of 8 or 16 channels; for an image of one channel they compute many that
are not needed. One multiplication by the weights and a sum of shifted results (`fold`) give the
same.
"""

import torch
from torch import Tensor
from torch.nn.functional import conv2d, fold
from torch.overrides import TorchFunctionMode

MOST = {torch.float32: 4, torch.bfloat16: 1, torch.float16: 1}  # channels up to which it is faster


class NarrowConvolutions(TorchFunctionMode):
    """While it lasts, CPU convolutions on few channels pass a gradient to their input alone.

    Only for gradients by the image: weights and biases that are parameters get none. Where they are
    computed from something that has a gradient, PyTorch's own way is taken.
    """

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function is conv2d and (plan := _plan(*args, **kwargs)):
            return _InputGradient.apply(*plan)
        return function(*args, **kwargs)


def _plan(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Give what `_InputGradient` takes, or None where PyTorch's own way is to be taken.

    Arguments are those of `torch.nn.functional.conv2d`, by its names.
    """
    few = weight.shape[1] <= MOST[torch.float32] and weight.shape[2:].numel() > 1
    computed = weight.grad_fn is not None or (bias is not None and bias.grad_fn is not None)
    fits = few and not computed and groups == 1 and input.dim() == 4 and input.requires_grad
    if not fits or input.device.type != "cpu":
        return None
    sizes = [_pair(value) for value in (stride, padding, dilation)]
    return None if None in sizes else (input, weight, bias, *sizes)


def _pair(value) -> tuple[int, int] | None:
    """Give height and width of one whole number, or of one or two; None for anything else."""
    numbers = tuple(value) if isinstance(value, tuple | list) else (value,)
    if len(numbers) not in (1, 2) or not all(isinstance(number, int) for number in numbers):
        return None
    return numbers[0], numbers[-1]


class _InputGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, images, weight, bias, stride, padding, dilation):
        ctx.save_for_backward(weight)
        ctx.size, ctx.kind = images.shape, images.dtype
        ctx.grid = {"stride": stride, "padding": padding, "dilation": dilation}
        return conv2d(images, weight, bias, stride, padding, dilation)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        (weight,) = ctx.saved_tensors
        weight, nothing = weight.to(gradient.dtype), (None,) * 5
        if weight.shape[1] > MOST.get(gradient.dtype, 0):
            grid = (ctx.grid["stride"], ctx.grid["padding"], ctx.grid["dilation"])
            return _own(ctx.size, weight, gradient, *grid).to(ctx.kind), *nothing
        spread = weight.flatten(1).t().expand(len(gradient), -1, -1)  # [N, C*kh*kw, out]
        columns = torch.bmm(spread, gradient.flatten(2))  # [N, C*kh*kw, places]
        image = fold(columns, ctx.size[2:], weight.shape[2:], **ctx.grid)  # [N, C, H, W]
        return image.to(ctx.kind), *nothing


def _own(size, weight, gradient, stride, padding, dilation) -> Tensor:
    return torch.nn.grad.conv2d_input(size, weight, gradient, stride, padding, dilation)
