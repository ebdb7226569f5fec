"""A multi-layer perceptron."""

from math import prod

from torch import nn

# Weights of one output value, output values, places of the output: for each layer.
LAYERS = "[(a, b, 1) for a, b in zip([pixels, *hidden], [*hidden, classes])]"


def mlp(shape: tuple[int, int, int], classes: int, *, hidden: list[int]) -> nn.Module:
    """Build linear-ReLU layers of the sizes in `hidden` on the flattened image (C, H, W)."""
    sizes = [prod(shape), *hidden]
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], classes))
