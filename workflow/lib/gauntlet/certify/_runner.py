"""Runs of a traced network, and what in them depends on the number of images in a batch."""

from contextlib import suppress

import torch
from torch import Tensor, fx

CASTS = ("float",)  # methods that are not run: all is read in one precision


class Runner(fx.Interpreter):
    """Runs a traced graph in the precision of its input, without its casts to float."""

    def __init__(self, traced: fx.GraphModule, dtype: torch.dtype):
        super().__init__(traced)
        self.dtype = dtype
        self.extra_traceback = False  # no text of the tracer in messages

    def fetch_attr(self, target: str):
        held = super().fetch_attr(target)
        narrow = isinstance(held, Tensor) and held.dtype == torch.float32 != self.dtype
        return held.to(self.dtype) if narrow and self.dtype == torch.float64 else held

    def call_method(self, target: str, args: tuple, kwargs: dict):
        return args[0] if target in CASTS else super().call_method(target, args, kwargs)


class _Recorder(Runner):
    """Keeps the result of each node."""

    def __init__(self, traced: fx.GraphModule, dtype: torch.dtype):
        super().__init__(traced, dtype)
        self.noted: dict[fx.Node, object] = {}

    def run_node(self, node: fx.Node):
        result = super().run_node(node)
        self.noted[node] = result.clone() if isinstance(result, Tensor) else result
        return result


class SmallerBatches:
    """What each node of a graph gives for the first images of a batch alone.

    A batch that the network cannot take is left out.
    """

    def __init__(self, traced: fx.GraphModule, examples: Tensor):
        self.size, self.runs = len(examples), {}
        for count in range(1, len(examples)):
            recorder = _Recorder(traced, examples.dtype)
            with suppress(Exception):  # whatever the model's own code raises
                recorder.run(examples[:count].clone())
                self.runs[count] = recorder.noted

    def change(self, node: fx.Node, result: object) -> bool:
        """Tell whether a node's result, which no pixel changes, depends on the number of images."""
        return any(
            not _alike(result, self.size, noted[node], count) for count, noted in self.runs.items()
        )

    def reshape(self, node: fx.Node, shape: tuple[int, ...]) -> bool:
        """Tell whether an image's part of a result has another shape in a batch of several."""
        others = [noted[node] for count, noted in self.runs.items() if count > 1]
        return any(not isinstance(o, Tensor) or tuple(o.shape[1:]) != shape for o in others)


def _alike(one: object, size: int, other: object, count: int) -> bool:
    """Hold results for batches of `size` and `count` images against each other, row by row."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        if one.shape == other.shape:
            return torch.equal(one, other)
        rows = one.dim() > 0 and other.dim() > 0 and (len(one), len(other)) == (size, count)
        return rows and torch.equal(one[:count], other)
    if isinstance(one, (tuple, list)) and isinstance(other, (tuple, list)):
        pairs = zip(one, other, strict=False)
        return len(one) == len(other) and all(_alike(a, size, b, count) for a, b in pairs)
    return type(one) is type(other) and bool(one == other)
