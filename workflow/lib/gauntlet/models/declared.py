"""A network that a configuration declares layer by layer: no code is needed."""

from collections.abc import Callable
from math import prod

from torch import Tensor, nn

from gauntlet.core.errors import GauntletError
from gauntlet.core.layer_shapes import Layer, Shape, after, after_all, in_words, pair


def declared(shape: tuple[int, int, int], classes: int, *, layers: list[Layer]) -> nn.Module:
    """Build the layers for images of `shape` (C, H, W).

    Sizes of what comes in are found by going through the layers. Raises GauntletError with the
    place of a layer that does not fit, or if not one value per class comes out.
    """
    end = after_all(layers, shape)
    if end != (classes,):
        raise GauntletError(
            f"layers ends with {in_words(end)} values; allowed is one flat value for each of the "
            f"{classes} classes."
        )
    return _sequence(layers, shape)


class Residual(nn.Module):
    """Add what a body makes of the input to what a shortcut makes of it."""

    def __init__(self, body: nn.Module, shortcut: nn.Module):
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.shortcut(x)


def _sequence(layers: list[Layer], shape: Shape) -> nn.Sequential:
    made = []
    for layer in layers:
        made.append(MAKERS[layer["layer"]](layer, shape))
        shape = after(layer, shape)
    return nn.Sequential(*made)


def _conv2d(layer: Layer, shape: Shape) -> nn.Module:
    sizes = {key: pair(layer[key]) for key in ("stride", "padding", "dilation")}
    return nn.Conv2d(
        *(shape[0], layer["channels"], pair(layer["kernel"])),
        **sizes,
        groups=layer["groups"],
        bias=layer["bias"],
    )


def _pool2d(kind: type[nn.Module]) -> Callable[[Layer, Shape], nn.Module]:
    def make(layer: Layer, shape: Shape) -> nn.Module:
        kernel = pair(layer["kernel"])
        stride = kernel if layer["stride"] is None else pair(layer["stride"])
        return kind(kernel, stride, pair(layer["padding"]))

    return make


def _residual(layer: Layer, shape: Shape) -> nn.Module:
    short = layer["shortcut"]
    return Residual(
        _sequence(layer["layers"], shape), _sequence(short, shape) if short else nn.Identity()
    )


MAKERS: dict[str, Callable[[Layer, Shape], nn.Module]] = {
    "conv2d": _conv2d,
    "linear": lambda layer, shape: nn.Linear(prod(shape), layer["features"], layer["bias"]),
    "relu": lambda layer, shape: nn.ReLU(),
    "leaky_relu": lambda layer, shape: nn.LeakyReLU(layer["slope"]),
    "gelu": lambda layer, shape: nn.GELU(),
    "silu": lambda layer, shape: nn.SiLU(),
    "elu": lambda layer, shape: nn.ELU(layer["alpha"]),
    "tanh": lambda layer, shape: nn.Tanh(),
    "sigmoid": lambda layer, shape: nn.Sigmoid(),
    "softplus": lambda layer, shape: nn.Softplus(),
    "max_pool2d": _pool2d(nn.MaxPool2d),
    "avg_pool2d": _pool2d(nn.AvgPool2d),
    "adaptive_avg_pool2d": lambda layer, shape: nn.AdaptiveAvgPool2d(pair(layer["size"])),
    "batch_norm2d": lambda layer, shape: nn.BatchNorm2d(shape[0], layer["epsilon"]),
    "flatten": lambda layer, shape: nn.Flatten(),
    "dropout": lambda layer, shape: nn.Dropout(layer["rate"]),
    "residual": _residual,
}
