"""Layers of a network, computed faster than PyTorch computes them on a CPU."""

from collections.abc import Callable

from torch.nn.functional import conv2d
from torch.overrides import TorchFunctionMode

from gauntlet.core import flattening, max_pool


class FastLayers(TorchFunctionMode):
    """While it lasts, max pooling, flattening and narrow convolutions are those of this room.

    Pooling and flattening give PyTorch's numbers to the bit. `convolve` takes the arguments of
    `conv2d` and gives its result, or None where PyTorch's own way is to be taken:
    `input_grad.for_images` where only a gradient by the images is asked for,
    `input_grad.for_weights` in a training step.
    """

    def __init__(self, convolve: Callable | None = None):
        super().__init__()
        self.convolve = convolve

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        found = None
        if function is conv2d and self.convolve:
            found = self.convolve(*args, **kwargs)
        elif function in max_pool.FUNCTIONS:
            found = max_pool.pooled(*args, **kwargs)
        elif function in flattening.FUNCTIONS:
            found = flattening.flattened(*args, **kwargs)
        return function(*args, **kwargs) if found is None else found
