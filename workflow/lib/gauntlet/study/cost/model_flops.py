"""What one image costs a network, from its settings and the image's shape. Standard library only.

The formulas are constants in the models' own files. Multiply-adds are those of convolutions and
linear layers. They size jobs and decide no result.
"""

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any, NamedTuple

from gauntlet.core.layer_shapes import after, pair
from gauntlet.core.plugin_facts import facts
from gauntlet.study.formula import value_of

Shape = tuple[int, ...]
UNKNOWN = (1814, 12, 10)  # a network that cannot be read is assumed to be a resnet18
AT = 224 * 224


class Cost(NamedTuple):
    """Multiply-adds of a forward pass of one image, parameters, and values that layers give."""

    macs: float = 0.0
    parameters: float = 0.0
    values: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":  # type: ignore[override]
        return Cost(*(mine + its for mine, its in zip(self, other, strict=True)))


def cost_of(model: Mapping[str, Any], shape: Shape, classes: int) -> Cost:
    """Give what one image of shape (C, H, W) costs a model with these settings."""
    seen = (shape[0], *(model.get("input_size") or shape[1:]))
    if "layers" in model:
        return _declared(model["layers"], seen)
    known = facts("models", model["arch"])
    if "LAYERS" in known.constants:
        names = {"shape": seen, "pixels": prod(seen), "classes": classes}
        layers = value_of(known.get("LAYERS"), {**known.names, **model, **names})
        return sum((_layer(*layer) for layer in layers), Cost())
    macs, parameters, values = known.get("COST_AT_224", {}).get(model.get("name"), UNKNOWN)
    share = 1e6 * seen[1] * seen[2] / AT
    return Cost(macs * share, 1e6 * parameters, values * share)


def _layer(weights: int, channels: int, places: int) -> Cost:
    """Give the cost of a layer by the weights of one output value, its channels and places."""
    return Cost(weights * channels * places, weights * channels, channels * places)


def _declared(layers: Iterable[Mapping[str, Any]], shape: Shape) -> Cost:
    cost = Cost()
    for layer in layers:
        end, kind = after(dict(layer), shape), layer["layer"]
        if kind == "conv2d":
            window = prod(pair(layer["kernel"])) * shape[0] / layer["groups"]
            cost += _layer(window, layer["channels"], prod(end[1:]))
        elif kind == "linear":
            cost += _layer(prod(shape), layer["features"], 1)
        elif kind == "residual":
            cost += _declared(layer["layers"], shape) + _declared(layer["shortcut"], shape)
        else:
            cost += Cost(values=prod(end))
        shape = end
    return cost
