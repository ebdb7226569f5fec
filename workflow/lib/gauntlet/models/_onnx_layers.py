"""ONNX operators with weights, as PyTorch's own layers.

Each gives None where the weights are no constants; then the operator's plain function is taken.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gauntlet.core.errors import GauntletError

Held = list[Tensor | None]
Settings = dict[str, Any]
PADS = ("", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")


def _conv(held: Held, image: Tensor | None, settings: Settings) -> nn.Module | None:
    weight, bias = held[1], held[2] if len(held) > 2 else None
    if weight is None or image is None:
        return None
    if weight.ndim != 4:
        raise GauntletError(f"has weights of {weight.ndim} dimensions; known are 4.")
    kernel, stride, spread = _window(settings, tuple(weight.shape[2:]))
    pads = padding(settings, tuple(image.shape[2:]), kernel, stride, spread)
    groups = settings.get("group", 1)
    even = pads[0] == pads[1] and pads[2] == pads[3]
    layer = nn.Conv2d(
        *(weight.shape[1] * groups, weight.shape[0], kernel, stride),
        padding=(pads[2], pads[0]) if even else 0,
        dilation=spread,
        groups=groups,
        bias=bias is not None,
    )
    _fill(layer, weight, bias)
    return layer if even else nn.Sequential(nn.ZeroPad2d(pads), layer)


def _gemm(held: Held, image: Tensor | None, settings: Settings) -> nn.Module | None:
    weight, bias = held[1], held[2] if len(held) > 2 else None
    if not _floating(weight) or weight.ndim != 2 or image is None or settings.get("transA", 0):
        return None
    weight = weight if settings.get("transB", 0) else weight.T
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias is not None)
    if bias is not None:
        bias = settings.get("beta", 1.0) * bias.expand(1, weight.shape[0]).reshape(-1)
    _fill(layer, settings.get("alpha", 1.0) * weight, bias)
    return layer


def _matmul(held: Held, image: Tensor | None, settings: Settings) -> nn.Module | None:
    if not _floating(held[1]) or held[1].ndim != 2 or image is None:
        return None
    layer = nn.Linear(*held[1].shape, bias=False)
    _fill(layer, held[1].T, None)
    return layer


def _batch_norm(held: Held, image: Tensor | None, settings: Settings) -> nn.Module | None:
    if image is None or any(value is None for value in held[1:5]):
        return None
    if settings.get("training_mode", 0):
        raise GauntletError(
            "is in train mode (training_mode: 1), so that an image's answer depends on the others "
            "beside it; export the network in eval mode."
        )
    kind = nn.BatchNorm2d if image.ndim == 4 else nn.BatchNorm1d
    layer = kind(len(held[1]), settings.get("epsilon", 1e-5))
    names = ("weight", "bias", "running_mean", "running_var")
    with torch.no_grad():
        for name, value in zip(names, held[1:5], strict=True):
            getattr(layer, name).copy_(value)
    return layer


def _dropout(held: Held, image: Tensor | None, settings: Settings) -> nn.Module:
    if len(held) > 2 and held[2] is not None and bool(held[2].any()):
        raise GauntletError(
            "is in train mode (its input training_mode is true), so that answers are random; "
            "export the network in eval mode."
        )
    return nn.Identity()


def _floating(weight: Tensor | None) -> bool:
    return weight is not None and weight.is_floating_point()


def _fill(layer: nn.Module, weight: Tensor, bias: Tensor | None) -> None:
    layer.to(weight.dtype)
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias is not None:
            layer.bias.copy_(bias)


def _window(settings: Settings, kernel: tuple[int, ...]) -> tuple[tuple, tuple, tuple]:
    return (
        tuple(settings.get("kernel_shape", kernel)),
        tuple(settings.get("strides", (1, 1))),
        tuple(settings.get("dilations", (1, 1))),
    )


def padding(
    settings: Settings, size: tuple, kernel: tuple, stride: tuple, spread: tuple
) -> tuple[int, int, int, int]:
    """Give the zeros at left, right, top and bottom, for `pads` or for `auto_pad`."""
    auto = settings.get("auto_pad", "NOTSET")
    if auto not in PADS:
        raise GauntletError(f"sets auto_pad to {auto[:80]}; known are {', '.join(PADS[1:])}.")
    if auto in ("NOTSET", ""):
        top, left, bottom, right = settings.get("pads", (0, 0, 0, 0))
        return left, right, top, bottom
    if auto == "VALID":
        return 0, 0, 0, 0
    sides = []
    for length, wide, step, gap in zip(size, kernel, stride, spread, strict=True):
        whole = max((-(-length // step) - 1) * step + gap * (wide - 1) + 1 - length, 0)
        small, large = whole // 2, whole - whole // 2
        sides.append((small, large) if auto == "SAME_UPPER" else (large, small))
    return (*sides[1], *sides[0])


def _max_pool(held: Held, image: Tensor | None, settings: Settings) -> nn.Module:
    kernel, stride, spread = _window(settings, ())
    pads = padding(settings, tuple(image.shape[2:]), kernel, stride, spread)
    up = bool(settings.get("ceil_mode", 0))
    if pads[0] == pads[1] and pads[2] == pads[3]:
        return nn.MaxPool2d(kernel, stride, (pads[2], pads[0]), spread, ceil_mode=up)
    edge = nn.ConstantPad2d(pads, -torch.inf)
    return nn.Sequential(edge, nn.MaxPool2d(kernel, stride, 0, spread, ceil_mode=up))


def _average_pool(held: Held, image: Tensor | None, settings: Settings) -> nn.Module:
    kernel, stride, spread = _window(settings, ())
    pads = padding(settings, tuple(image.shape[2:]), kernel, stride, spread)
    counted, up = bool(settings.get("count_include_pad", 0)), bool(settings.get("ceil_mode", 0))
    if set(spread) != {1}:
        raise GauntletError(f"sets dilations to {list(spread)}; known is 1 for each axis.")
    if pads[0] == pads[1] and pads[2] == pads[3]:
        return nn.AvgPool2d(kernel, stride, (pads[2], pads[0]), up, counted)
    if not counted:
        raise GauntletError("pads its sides unevenly and counts no zeros; this is not known.")
    return nn.Sequential(nn.ZeroPad2d(pads), nn.AvgPool2d(kernel, stride, 0, up))


def _plain(make: Callable[[Settings], nn.Module]) -> Callable[..., nn.Module]:
    return lambda held, image, settings: make(settings)


def _global(kind: Callable[[int], nn.Module]) -> Callable[..., nn.Module]:
    def make(held: Held, image: Tensor | None, settings: Settings) -> nn.Module:
        if image is None or image.ndim != 4:
            raise GauntletError("takes what is no image [N, C, H, W]; known is that.")
        return kind(1)

    return make


LAYERS: dict[str, Callable[[Held, Tensor | None, Settings], nn.Module | None]] = {
    "Conv": _conv,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "BatchNormalization": _batch_norm,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global(nn.AdaptiveAvgPool2d),
    "GlobalMaxPool": _global(nn.AdaptiveMaxPool2d),
    "Dropout": _dropout,
    "Relu": _plain(lambda settings: nn.ReLU()),
    "LeakyRelu": _plain(lambda settings: nn.LeakyReLU(settings.get("alpha", 0.01))),
    "Elu": _plain(lambda settings: nn.ELU(settings.get("alpha", 1.0))),
    "Celu": _plain(lambda settings: nn.CELU(settings.get("alpha", 1.0))),
    "Sigmoid": _plain(lambda settings: nn.Sigmoid()),
    "Tanh": _plain(lambda settings: nn.Tanh()),
    "Softplus": _plain(lambda settings: nn.Softplus()),
    "Identity": _plain(lambda settings: nn.Identity()),
}
