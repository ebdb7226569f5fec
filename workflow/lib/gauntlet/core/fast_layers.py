"""Layers of a network, computed faster than PyTorch computes them on a CPU."""

from collections.abc import Callable

import torch
from torch.autograd import forward_ad
from torch.nn.functional import conv2d
from torch.overrides import TorchFunctionMode

from gauntlet.core import flattening, max_pool

FUNCTIONS = (conv2d, *max_pool.FUNCTIONS, *flattening.FUNCTIONS)
_top_hooks = getattr(torch._C._autograd, "_top_saved_tensors_default_hooks", lambda tracing: None)
_functorch = getattr(torch._C, "_functorch", None)  # vmap, func.grad and their like


class FastLayers(TorchFunctionMode):
    """While it lasts, max pooling, flattening and narrow convolutions are those of this room.

    Pooling and flattening give PyTorch's numbers to the bit. `convolve` takes the arguments of
    `conv2d` and gives its result, or None where PyTorch's own way is to be taken, such as
    `input_grad.for_images` where only a gradient by the images is asked for.

    Layers are PyTorch's own inside its transformations (vmap, func.grad, forward mode), while it
    compiles, and inside a layer that computes again in the backward pass
    (torch.utils.checkpoint), which may be called after this mode.
    """

    def __init__(self, convolve: Callable | None = None):
        super().__init__()
        self.convolve = convolve

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs, found = kwargs or {}, None
        if torch.compiler.is_dynamo_compiling() or function not in FUNCTIONS:
            return function(*args, **kwargs)
        if _is_transformed() or _saves_by_hooks():
            return function(*args, **kwargs)
        if function is conv2d and self.convolve:
            found = self.convolve(*args, **kwargs)
        elif function in max_pool.FUNCTIONS:
            found = max_pool.pooled(*args, **kwargs)
        elif function in flattening.FUNCTIONS:
            found = flattening.flattened(*args, **kwargs)
        return function(*args, **kwargs) if found is None else found


def _is_transformed() -> bool:
    """Tell whether PyTorch transforms a function (vmap, func.grad), or differentiates forward."""
    inside = _functorch is not None and _functorch.peek_interpreter_stack() is not None
    return inside or forward_ad._current_level >= 0


def _saves_by_hooks() -> bool:
    """Tell whether something else decides what is kept for the backward pass."""
    return _top_hooks(True) is not None
