"""A function of a value as a module, and a block: what makes a module for an example."""

import random
from collections.abc import Callable

from torch import Tensor, nn

Block = Callable[[random.Random, Tensor], nn.Module]


class Step(nn.Module):
    """A function of a value and of modules and tensors that belong to it."""

    def __init__(self, function: Callable, *modules: nn.Module, **tensors: Tensor):
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(modules)
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor)

    def forward(self, x):
        return self.function(self, x)


def step(function: Callable) -> Block:
    """Give a block that is one function of its input."""
    return lambda source, example: Step(function)


def len_of(x):
    """Give the batch's size as a traced number."""
    return x.size()[0]
