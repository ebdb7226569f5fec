"""Batch norm over a batch that several processes share, on any device.

PyTorch's SyncBatchNorm works on GPUs only and replaces the layers; this one changes no layer.
"""

import torch
from torch import Tensor, distributed
from torch.nn.functional import batch_norm
from torch.overrides import TorchFunctionMode


class CommonStatistics(TorchFunctionMode):
    """A context in which batch norm in train mode uses the statistics of all processes' images.

    Without `counted`, this process's images are normalized but do not enter the statistics. Batch
    norm without running statistics is left alone: it may be part of an attack, and the number of
    an attack's passes differs between processes.
    """

    def __init__(self, counted: bool = True):
        super().__init__()
        self.counted = float(counted)

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function is batch_norm and (plan := _plan(*args, **kwargs)):
            return _normalized(self.counted, *plan)
        return function(*args, **kwargs)


def _plan(
    input,
    running_mean,
    running_var,
    weight=None,
    bias=None,
    training=False,
    momentum=0.1,
    eps=1e-5,
):
    """Give the arguments of `_normalized`, or None where no statistics are updated.

    Arguments are those of `torch.nn.functional.batch_norm`, by its names.
    """
    if not training or running_mean is None or not isinstance(input, Tensor):
        return None
    return input, running_mean, running_var, weight, bias, momentum, eps


def _normalized(counted, images, running_mean, running_var, weight, bias, momentum, eps) -> Tensor:
    values = images if images.dtype == torch.float64 else images.float()
    over = [0, *range(2, values.dim())]
    shape = (1, -1, *(1,) * (values.dim() - 2))
    here = values.new_full((1,), counted * values.numel() / values.shape[1])
    sums = _Sum.apply(torch.cat([values.sum(over) * counted, here]))
    count = sums[-1].detach()
    mean = sums[:-1] / count
    centered = values - mean.view(shape)
    variance = _Sum.apply(centered.square().sum(over) * counted) / count
    with torch.no_grad():
        unbiased = variance * (count / (count - 1).clamp(min=1))
        running_mean.lerp_(mean.to(running_mean.dtype), momentum)
        running_var.lerp_(unbiased.to(running_var.dtype), momentum)
    out = centered * (variance + eps).rsqrt().view(shape)
    if weight is not None:
        out = out * weight.view(shape)
    if bias is not None:
        out = out + bias.view(shape)
    return out.to(images.dtype)


class _Sum(torch.autograd.Function):
    """The sum over all processes; its gradient is summed over them too."""

    @staticmethod
    def forward(ctx, part: Tensor) -> Tensor:
        return _summed(part)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return _summed(gradient)


def _summed(part: Tensor) -> Tensor:
    whole = part.clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(whole)
    return whole
