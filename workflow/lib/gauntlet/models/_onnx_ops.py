"""ONNX operators that compute without weights, as functions of tensors."""

from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gauntlet.core.errors import GauntletError
from gauntlet.models._onnx_shaping import SHAPING, Operation, Settings, given, whole_numbers

# ONNX's numbers of element types
TYPES = {
    **{1: torch.float32, 2: torch.uint8, 3: torch.int8, 6: torch.int32, 7: torch.int64},
    **{9: torch.bool, 10: torch.float16, 11: torch.float64, 16: torch.bfloat16},
}


def _clip(settings: Settings, opset: int, node) -> Operation:
    def clip(x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
        bounds = (
            low.item() if given(low) else settings.get("min"),
            high.item() if given(high) else settings.get("max"),
        )
        return x if bounds == (None, None) else x.clamp(*bounds)

    return clip


def _reduced(function: Callable) -> Callable[[Settings, int, Any], Operation]:
    def make(settings: Settings, opset: int, node) -> Operation:
        idle, kept = settings.get("noop_with_empty_axes", 0), bool(settings.get("keepdims", 1))

        def run(x: Tensor, axes: Tensor | None = None) -> Tensor:
            chosen = whole_numbers(axes, settings, "axes")
            if chosen is None and idle:
                return x
            every = tuple(chosen) if chosen is not None else tuple(range(x.ndim))
            return function(x, every, kept)

        return run

    return make


def _softmax(function: Callable) -> Callable[[Settings, int, Any], Operation]:
    def make(settings: Settings, opset: int, node) -> Operation:
        if opset >= 13:
            return lambda x: function(x, settings.get("axis", -1))
        axis = settings.get("axis", 1)  # earlier: over all that follows
        return lambda x: function(x.flatten(axis), -1).reshape(x.shape)

    return make


def _layer_norm(settings: Settings, opset: int, node) -> Operation:
    def norm(x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
        shape = x.shape[settings.get("axis", -1) :]
        return functional.layer_norm(x, shape, scale, bias, settings.get("epsilon", 1e-5))

    return norm


def _constant(settings: Settings, opset: int, node) -> Operation:
    for name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        if name in settings:
            return lambda: torch.as_tensor(settings[name])
    raise GauntletError("has a value of a kind that is not known.")


def _cast(settings: Settings, opset: int, node) -> Operation:
    kind = TYPES.get(settings.get("to"))
    if kind is None:
        raise GauntletError(f"turns values into type {settings.get('to')}, which is not known.")
    return lambda x: x.to(kind)


def _gelu(settings: Settings, opset: int, node) -> Operation:
    return lambda x: functional.gelu(x, approximate=settings.get("approximate", "none"))


def _selu(settings: Settings, opset: int, node) -> Operation:
    alpha = settings.get("alpha", 1.67326319217681884765625)
    gamma = settings.get("gamma", 1.05070102214813232421875)
    return lambda x: gamma * functional.elu(x, alpha)


def _modulo(settings: Settings, opset: int, node) -> Operation:
    """Take the sign of the dividend if `fmod` is set, else that of the divisor."""
    return torch.fmod if settings.get("fmod", 0) else torch.remainder


def _gemm(settings: Settings, opset: int, node) -> Operation:
    alpha, beta = settings.get("alpha", 1.0), settings.get("beta", 1.0)
    turned = settings.get("transA", 0), settings.get("transB", 0)

    def run(a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
        product = alpha * ((a.T if turned[0] else a) @ (b.T if turned[1] else b))
        return product if c is None else product + beta * c

    return run


def _divide(x: Tensor, y: Tensor) -> Tensor:
    whole = not (x.is_floating_point() or y.is_floating_point())
    return torch.div(x, y, rounding_mode="trunc" if whole else None)


def _folded(function: Callable) -> Callable[[Settings, int, Any], Operation]:
    return lambda settings, opset, node: lambda *parts: reduce(function, parts)


def _plain(function: Operation) -> Callable[[Settings, int, Any], Operation]:
    return lambda settings, opset, node: function


OPERATIONS: dict[str, Callable[[Settings, int, Any], Operation]] = {
    **SHAPING,
    "Abs": _plain(torch.abs),
    "Add": _plain(torch.add),
    "Cast": _cast,
    "Clip": _clip,
    "Constant": _constant,
    "Div": _plain(_divide),
    "Equal": _plain(torch.eq),
    "Erf": _plain(torch.erf),
    "Exp": _plain(torch.exp),
    "Gelu": _gelu,
    "Gemm": _gemm,
    "HardSigmoid": lambda settings, opset, node: (
        lambda x: (settings.get("alpha", 0.2) * x + settings.get("beta", 0.5)).clamp(0, 1)
    ),
    "HardSwish": _plain(functional.hardswish),
    "LayerNormalization": _layer_norm,
    "Log": _plain(torch.log),
    "LogSoftmax": _softmax(torch.log_softmax),
    "MatMul": _plain(torch.matmul),
    "Max": _folded(torch.maximum),
    "Min": _folded(torch.minimum),
    "Mish": _plain(functional.mish),
    "Mod": _modulo,
    "Mul": _plain(torch.mul),
    "Neg": _plain(torch.neg),
    "PRelu": _plain(lambda x, slope: torch.where(x < 0, slope * x, x)),
    "Pow": _plain(lambda x, y: torch.pow(x, y.to(x.dtype))),
    "Reciprocal": _plain(torch.reciprocal),
    "ReduceMax": _reduced(torch.amax),
    "ReduceMean": _reduced(torch.mean),
    "ReduceSum": _reduced(torch.sum),
    "Selu": _selu,
    "Softmax": _softmax(torch.softmax),
    "Sqrt": _plain(torch.sqrt),
    "Sub": _plain(torch.sub),
    "Sum": _folded(torch.add),
    "Where": _plain(torch.where),
}
