"""What the reader of networks hands to the translation of one layer or function."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, Protocol

import torch
from torch import Tensor

from gauntlet.core.errors import Uncertifiable

EXAMPLES = 3  # images in the batch that is followed; fewer of them must give the same rows


@dataclass(frozen=True)
class Node:
    """One operation: whose results it takes, and its result's shape without the batch."""

    op: object
    parents: tuple[int, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Value:
    """The result of the operation at `place`, of `shape` without the batch; images change it."""

    place: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Known:
    """A tensor that no image changes; `fresh()` computes it again from the model's parameters."""

    value: Tensor
    fresh: Callable[[], Tensor]

    def map(self, function: Callable[[Tensor], Tensor]) -> "Known":
        """Give a function of the tensor."""
        return Known(function(self.value), lambda: function(self.fresh()))


Operand = Value | Known | float
Operands = list[Value | Known]


class Program(Protocol):
    """The list of operations that is being written."""

    batch: int  # images in the example batch
    result: object  # what the layer or function gave for the example batch

    def apply(self, op: object, *values: Value) -> Value:
        """Append an operation on earlier values."""


def known(operand: Known | float) -> Known:
    """Give a number as a tensor of no dimension, and a tensor as it is."""
    if isinstance(operand, Known):
        return operand
    tensor = torch.as_tensor(operand, dtype=torch.float64)
    return Known(tensor, lambda: tensor)


def number(given: object, name: str) -> float:
    """Give a Python number; Uncertifiable for anything else."""
    if isinstance(given, torch.Tensor) and given.numel() == 1:
        given = given.item()
    if not isinstance(given, (int, float)) or given != given:
        refuse(f"{name} with {type(given).__name__} for a number")
    return given


def refuse(name: str, how: str = "") -> NoReturn:
    """Say that a layer of this name, with these settings, has no bounds here."""
    raise Uncertifiable(
        f"Certificates do not know the model's layer '{name}'{how and ' '}{how}; attacks still run "
        f"on it, and smoothing can certify it."
    )
