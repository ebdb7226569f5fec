"""What one image costs a network, from its settings and the image's shape. Standard library only.

Estimates, not results: they size jobs and foretell how long a study takes. Multiply-adds are those
of convolutions and linear layers.
"""

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any, NamedTuple

from gauntlet.core.layer_shapes import after, pair
from gauntlet.study.models import TEN

Shape = tuple[int, ...]
STAGES = ((1, 1), (2, 2), (4, 2), (8, 2))  # of preact_resnet18: width factor, stride
GREY, COLOR = ((32, 64), 128), ((64, 128), 512)  # of article_cnn
# Networks of torchvision at 224x224x3: millions of multiply-adds, parameters and values.
TORCHVISION = {
    "alexnet": (714, 61, 1),
    "convnext_tiny": (4456, 29, 26),
    "densenet121": (2834, 8, 34),
    "efficientnet_b0": (386, 5, 27),
    "googlenet": (1498, 7, 13),
    "mobilenet_v2": (301, 4, 27),
    "mobilenet_v3_large": (217, 5, 14),
    "resnet18": (1814, 12, 10),
    "resnet34": (3664, 22, 15),
    "resnet50": (4089, 26, 44),
    "resnet101": (7801, 45, 65),
    "swin_t": (4491, 28, 50),
    "vgg11": (7609, 133, 29),
    "vgg16": (15470, 138, 54),
    "vit_b_16": (17564, 87, 60),
    "wide_resnet50_2": (11398, 69, 55),
}
UNKNOWN = TORCHVISION["resnet18"]  # what a network that cannot be read is taken for
AT = 224 * 224


class Cost(NamedTuple):
    """Multiply-adds of a forward pass of one image, parameters, and values that layers give."""

    macs: float = 0.0
    parameters: float = 0.0
    values: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":  # type: ignore[override]
        return Cost(*(mine + its for mine, its in zip(self, other, strict=True)))


def cost_of(model: Mapping[str, Any], shape: Shape, classes: int = TEN) -> Cost:
    """Give what one image of shape (C, H, W) costs a model with these settings."""
    seen = (shape[0], *(model.get("input_size") or shape[1:]))
    count = COUNTERS.get(model["arch"])
    return _scaled(UNKNOWN, seen) if count is None else count(model, seen, classes)


def _article_cnn(model: Mapping[str, Any], shape: Shape, classes: int) -> Cost:
    channels, hidden = GREY if shape[0] == 1 else COLOR
    first, second = model["channels"] or channels
    hidden = model["hidden"] or hidden
    _, height, width = shape
    flat = second * (height // 4) * (width // 4)
    return (
        _convolution((shape[0], height, width), first, 9)
        + _convolution((first, height // 2, width // 2), second, 9)
        + _linear(flat, hidden)
        + _linear(hidden, classes)
    )


def _mlp(model: Mapping[str, Any], shape: Shape, classes: int) -> Cost:
    sizes = [prod(shape), *model["hidden"], classes]
    return _total(_linear(*pair) for pair in zip(sizes, sizes[1:], strict=False))


def _preact_resnet18(model: Mapping[str, Any], shape: Shape, classes: int) -> Cost:
    width, (_, height, breadth) = model["width"], shape
    cost, before = _convolution(shape, width, 9), width
    for factor, stride in STAGES:
        after_it = width * factor
        height, breadth = -(-height // stride), -(-breadth // stride)
        cost += _convolution((before, height, breadth), after_it, 9)
        cost += _total(_convolution((after_it, height, breadth), after_it, 9) for _ in range(3))
        if before != after_it:
            cost += _convolution((before, height, breadth), after_it, 1)
        before = after_it
    return cost + _linear(before, classes)


def _torchvision(model: Mapping[str, Any], shape: Shape, classes: int) -> Cost:
    return _scaled(TORCHVISION.get(model["name"], UNKNOWN), shape)


def _declared(model: Mapping[str, Any], shape: Shape, classes: int) -> Cost:
    return _layers(model["layers"], shape)


def _layers(layers: Iterable[Mapping[str, Any]], shape: Shape) -> Cost:
    cost = Cost()
    for layer in layers:
        cost += _layer(layer, shape)
        shape = after(dict(layer), shape)
    return cost


def _layer(layer: Mapping[str, Any], shape: Shape) -> Cost:
    end, kind = after(dict(layer), shape), layer["layer"]
    if kind == "conv2d":
        weights = prod(pair(layer["kernel"])) * shape[0] * layer["channels"] / layer["groups"]
        return Cost(weights * prod(end[1:]), weights, prod(end))
    if kind == "linear":
        return _linear(prod(shape), layer["features"])
    if kind == "residual":
        return _layers(layer["layers"], shape) + _layers(layer["shortcut"], shape)
    return Cost(values=prod(end))


def _convolution(shape: Shape, channels: int, window: int) -> Cost:
    """Count a convolution of stride 1; `shape` has the height and width that come out."""
    depth, height, width = shape
    weights = depth * channels * window
    return Cost(weights * height * width, weights, channels * height * width)


def _linear(before: int, after_it: int) -> Cost:
    return Cost(before * after_it, before * after_it, after_it)


def _scaled(known: tuple[float, float, float], shape: Shape) -> Cost:
    """Scale what a network costs at 224x224 to other images; its parameters stay."""
    macs, parameters, values = (1e6 * number for number in known)
    share = shape[1] * shape[2] / AT
    return Cost(macs * share, parameters, values * share)


def _total(costs: Iterable[Cost]) -> Cost:
    return sum(costs, Cost())


COUNTERS = {
    "article_cnn": _article_cnn,
    "declared": _declared,
    "mlp": _mlp,
    "preact_resnet18": _preact_resnet18,
    "torchvision": _torchvision,
}
