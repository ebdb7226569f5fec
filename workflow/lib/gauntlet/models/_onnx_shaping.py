"""ONNX operators that move values and make shapes, as functions of tensors.

Each entry takes a node's settings and the file's opset, and gives the function. Settings that later
opsets hand over as inputs are read from either place.
"""

from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gauntlet.core.errors import GauntletError

Settings = dict[str, Any]
Operation = Callable[..., Any]
MOST = 1 << 28  # values of a tensor that a graph may ask for


def given(tensor: Tensor | None) -> bool:
    return tensor is not None and tensor.numel() > 0


def whole_numbers(tensor: Tensor | None, settings: Settings, name: str) -> list[int] | None:
    """Read whole numbers from an input, or else from a setting."""
    if given(tensor):
        return [int(value) for value in tensor.reshape(-1).tolist()]
    return list(settings[name]) if name in settings else None


def _bounded(sizes: list[int]) -> list[int]:
    count = reduce(lambda product, size: product * max(size, 1), sizes, 1)
    if count > MOST:
        raise GauntletError(f"asks for {count} values; at most {MOST} are allowed.")
    return sizes


def _reshape(settings: Settings, opset: int, node) -> Operation:
    def reshape(x: Tensor, shape: Tensor | None = None) -> Tensor:
        sizes = whole_numbers(shape, settings, "shape")
        if not settings.get("allowzero", 0):
            sizes = [x.shape[i] if size == 0 else size for i, size in enumerate(sizes)]
        return x.reshape(sizes)

    return reshape


def _flatten(settings: Settings, opset: int, node) -> Operation:
    axis = settings.get("axis", 1)
    if axis == 1:
        return lambda x: x.flatten(1) if x.ndim > 1 else x.reshape(len(x), 1)
    return lambda x: x.reshape(x.shape[:axis].numel(), -1)


def _squeeze(settings: Settings, opset: int, node) -> Operation:
    def squeeze(x: Tensor, axes: Tensor | None = None) -> Tensor:
        chosen = whole_numbers(axes, settings, "axes")
        return x.squeeze() if chosen is None else x.squeeze(tuple(chosen))

    return squeeze


def _unsqueeze(settings: Settings, opset: int, node) -> Operation:
    def unsqueeze(x: Tensor, axes: Tensor | None = None) -> Tensor:
        chosen = whole_numbers(axes, settings, "axes")
        for axis in sorted(axis % (x.ndim + len(chosen)) for axis in chosen):
            x = x.unsqueeze(axis)
        return x

    return unsqueeze


def _transpose(settings: Settings, opset: int, node) -> Operation:
    return lambda x: x.permute(settings.get("perm") or tuple(reversed(range(x.ndim))))


def _concat(settings: Settings, opset: int, node) -> Operation:
    return lambda *parts: torch.cat(parts, settings["axis"])


def _split(settings: Settings, opset: int, node) -> Operation:
    def split(x: Tensor, sizes: Tensor | None = None) -> tuple[Tensor, ...]:
        axis, chosen = settings.get("axis", 0), whole_numbers(sizes, settings, "split")
        if settings.get("num_outputs", len(node.outputs)) != len(node.outputs):
            raise GauntletError(
                f"sets num_outputs to {settings['num_outputs']}; it has {len(node.outputs)}."
            )
        if chosen is None:
            return x.split(-(-x.shape[axis] // len(node.outputs)), axis)
        return x.split(chosen, axis)

    return split


def _slice(settings: Settings, opset: int, node) -> Operation:
    def cut(x: Tensor, starts=None, ends=None, axes=None, steps=None) -> Tensor:
        first, last = (
            whole_numbers(starts, settings, "starts"),
            whole_numbers(ends, settings, "ends"),
        )
        along = whole_numbers(axes, settings, "axes") or list(range(len(first)))
        for axis, start, end, step in zip(
            along, first, last, whole_numbers(steps, {}, "") or [1] * len(first), strict=True
        ):
            if step > 0:
                x = x[(slice(None),) * (axis % x.ndim) + (slice(start, end, step),)]
            else:  # PyTorch's slices go forward only
                places = list(range(x.shape[axis])[start:end:step])
                x = x.index_select(axis, torch.tensor(places, dtype=torch.int64, device=x.device))
        return x

    return cut


def _gather(settings: Settings, opset: int, node) -> Operation:
    def gather(x: Tensor, places: Tensor) -> Tensor:
        axis = settings.get("axis", 0) % x.ndim
        flat = torch.where(places < 0, places + x.shape[axis], places).reshape(-1)
        shape = (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])
        return x.index_select(axis, flat).reshape(shape)

    return gather


def _pad(settings: Settings, opset: int, node) -> Operation:
    def pad(x: Tensor, pads: Tensor | None = None, value=None, axes=None) -> Tensor:
        sizes, mode = whole_numbers(pads, settings, "pads"), settings.get("mode", "constant")
        along = whole_numbers(axes, {}, "") or list(range(x.ndim))
        half, edges = len(sizes) // 2, [[0, 0] for _ in range(x.ndim)]
        for place, axis in enumerate(along):
            edges[axis] = [sizes[place], sizes[place + half]]
        flat = [size for edge in reversed(edges) for size in edge]
        if mode == "constant":
            fill = float(value) if given(value) else settings.get("value", 0.0)
            return functional.pad(x, flat, value=fill)
        known = {"edge": "replicate", "reflect": "reflect"}
        if mode not in known:
            raise GauntletError(f"sets mode to {mode[:80]}; known are constant, edge, reflect.")
        return functional.pad(x, flat[: 2 * (x.ndim - 2)], known[mode])

    return pad


def _constant_of_shape(settings: Settings, opset: int, node) -> Operation:
    fill = settings.get("value", torch.zeros(1))
    return lambda shape: torch.full(_bounded(shape.tolist()), fill.item(), dtype=fill.dtype)


def _expand(settings: Settings, opset: int, node) -> Operation:
    def expand(x: Tensor, shape: Tensor) -> Tensor:
        return x.expand(torch.broadcast_shapes(x.shape, _bounded(shape.tolist())))

    return expand


def _shape(settings: Settings, opset: int, node) -> Operation:
    first, last = settings.get("start", 0), settings.get("end")
    return lambda x: torch.tensor(x.shape[first:last])


def _tile(settings: Settings, opset: int, node) -> Operation:
    def tile(x: Tensor, repeats: Tensor) -> Tensor:
        counts = repeats.tolist()
        _bounded([size * count for size, count in zip(x.shape, counts, strict=True)])
        return x.repeat(counts)

    return tile


SHAPING: dict[str, Callable[[Settings, int, Any], Operation]] = {
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Pad": _pad,
    "Reshape": _reshape,
    "Shape": _shape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
