"""Gradients by the input of convolutions on images of few channels, faster than PyTorch's own.

An attack needs the gradient by the image, which a network's first convolution gives. A CPU's
kernels work on blocks of 8 or 16 channels; for an image of one channel they compute many that
nobody needs. One multiplication by the weights and a sum of shifted results (`fold`) give the same.
"""

import torch
from torch import Tensor
from torch.nn.functional import conv2d, fold
from torch.overrides import TorchFunctionMode

MOST = {torch.float32: 4, torch.bfloat16: 1, torch.float16: 1}  # channels below which it is faster


class NarrowConvolutions(TorchFunctionMode):
    """While it lasts, CPU convolutions on few channels pass a gradient to their input alone.

    Only for gradients by the image: weights and biases get none.
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
    fits = few and groups == 1 and input.dim() == 4 and input.requires_grad
    if not fits or input.device.type != "cpu" or isinstance(padding, str):
        return None
    return input, weight, bias, _pair(stride), _pair(padding), _pair(dilation)


def _pair(value) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


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
        spread = weight.flatten(1).t().expand(len(gradient), -1, -1)
        columns = torch.bmm(spread, gradient.flatten(2))
        image = fold(columns, ctx.size[2:], weight.shape[2:], **ctx.grid)
        return image.to(ctx.kind), *nothing


def _own(size, weight, gradient, stride, padding, dilation) -> Tensor:
    return torch.nn.grad.conv2d_input(size, weight, gradient, stride, padding, dilation)
