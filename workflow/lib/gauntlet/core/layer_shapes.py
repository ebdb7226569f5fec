"""Shapes of the values between layers that a configuration declares. Standard library only.

A layer is a mapping with its kind under `layer` and its settings, as the schema has filled them; a
shape is (C, H, W), or (features,) once it is flat.
"""

from collections.abc import Callable
from math import prod
from typing import Any

from gauntlet.core.errors import GauntletError

Shape = tuple[int, ...]
Layer = dict[str, Any]


def after_all(layers: list[Layer], shape: Shape, place: str = "layers") -> Shape:
    """Give the shape after a list of layers; GauntletError names the first that does not fit."""
    for number, layer in enumerate(layers):
        shape = after(layer, shape, f"{place}[{number}]")
    return shape


def after(layer: Layer, shape: Shape, place: str = "layer") -> Shape:
    """Give the shape after one layer; GauntletError says why the layer cannot take its input."""
    rule = RULES.get(layer["layer"])
    return shape if rule is None else rule(layer, shape, f"{place} ({layer['layer']})")


def in_words(shape: Shape) -> str:
    """Write a shape: `3x32x32`, or `128` for a flat one."""
    return "x".join(map(str, shape))


def pair(value: int | list[int]) -> tuple[int, int]:
    """Give height and width of a setting that may be one number for both."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _image(shape: Shape, place: str) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise GauntletError(
            f"{place} takes channels, height and width, but {in_words(shape)} flat values come "
            "before it; put it before flatten."
        )
    return shape[0], shape[1], shape[2]


def _window(layer: Layer, shape: Shape, place: str) -> tuple[int, int]:
    """Give height and width behind a window that slides."""
    kernel, padding = pair(layer["kernel"]), pair(layer["padding"])
    stride = kernel if layer["stride"] is None else pair(layer["stride"])
    spread = pair(layer.get("dilation", 1))
    sizes = [
        (size + 2 * edge - gap * (wide - 1) - 1) // step + 1
        for size, edge, gap, wide, step in zip(
            shape[1:], padding, spread, kernel, stride, strict=True
        )
    ]
    if min(sizes) < 1:
        raise GauntletError(
            f"{place} has a window of {in_words(kernel)} that does not fit on "
            f"{in_words(shape[1:])} with padding {in_words(padding)}; allowed is a smaller one."
        )
    return sizes[0], sizes[1]


def _conv2d(layer: Layer, shape: Shape, place: str) -> Shape:
    depth, _, _ = _image(shape, place)
    if depth % layer["groups"] or layer["channels"] % layer["groups"]:
        raise GauntletError(
            f"{place} has groups {layer['groups']}, which must divide the {depth} channels before "
            f"it and its own {layer['channels']}."
        )
    return (layer["channels"], *_window(layer, shape, place))


def _pool2d(layer: Layer, shape: Shape, place: str) -> Shape:
    depth, _, _ = _image(shape, place)
    kernel, padding = pair(layer["kernel"]), pair(layer["padding"])
    if any(2 * edge > wide for edge, wide in zip(padding, kernel, strict=True)):
        raise GauntletError(
            f"{place} has padding {in_words(padding)}; allowed is half of its window of "
            f"{in_words(kernel)} at most."
        )
    return (depth, *_window(layer, shape, place))


def _adaptive(layer: Layer, shape: Shape, place: str) -> Shape:
    return (_image(shape, place)[0], *pair(layer["size"]))


def _linear(layer: Layer, shape: Shape, place: str) -> Shape:
    if len(shape) != 1:
        raise GauntletError(
            f"{place} takes flat values, but {in_words(shape)} comes before it; put flatten first."
        )
    return (layer["features"],)


def _residual(layer: Layer, shape: Shape, place: str) -> Shape:
    main = after_all(layer["layers"], shape, f"{place}.layers")
    side = after_all(layer["shortcut"], shape, f"{place}.shortcut")
    if main != side:
        raise GauntletError(
            f"{place} adds {in_words(main)} of its layers to {in_words(side)} of its shortcut; "
            "allowed are equal shapes."
        )
    return main


RULES: dict[str, Callable[[Layer, Shape, str], Shape]] = {
    "conv2d": _conv2d,
    "linear": _linear,
    "max_pool2d": _pool2d,
    "avg_pool2d": _pool2d,
    "adaptive_avg_pool2d": _adaptive,
    "batch_norm2d": lambda layer, shape, place: _image(shape, place),
    "flatten": lambda layer, shape, place: (prod(shape),),
    "residual": _residual,
}
