"""Arguments of a traced call, each checked against what its translation can take."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx

from gauntlet.certify._symbols import Known, Operand, Operands, Value, refuse


def call(handler: Callable, name: str, program: object, args: tuple, kwargs: dict) -> Any:
    """Translate one call: the annotations of `handler` say which arguments an image may change.

    A parameter `Value` depends on the image, `Known` is a tensor that does not, `Operand` may be
    either, `Operands` is a list of both; every other parameter is a plain constant.
    """
    try:
        bound = inspect.signature(handler).bind(program, *args, **kwargs)
    except TypeError:
        refuse(f"{name} with arguments that are not known")
    for key, parameter in list(bound.signature.parameters.items())[1:]:
        if key in bound.arguments:
            given = bound.arguments[key]
            bound.arguments[key] = _checked(parameter.annotation, given, f"{name} with this {key}")
    return handler(*bound.args, **bound.kwargs)


def values_of(forward: Callable, name: str, args: tuple, kwargs: dict) -> list[object]:
    """Give what a layer's forward pass is called with, by place or by name."""
    try:
        bound = inspect.signature(forward).bind(*args, **kwargs)
    except TypeError:
        refuse(f"{name} with arguments that are not known")
    return list(bound.arguments.values())


def name_of(node: fx.Node) -> str:
    """Give a node's layer, function or method by its name in the model."""
    if isinstance(node.target, str):
        return node.target.removeprefix("model.")
    return getattr(node.target, "__name__", str(node.target))


def versions(result: object) -> list[int]:
    """Count how often each tensor of a result has been written to in place."""
    if isinstance(result, Tensor):
        return [version(result)]
    if isinstance(result, (tuple, list)):
        return [count for one in result for count in versions(one)]
    return []


def version(tensor: Tensor) -> int:
    """Count how often a tensor has been written to in place; 0 where PyTorch does not count."""
    return 0 if tensor.is_inference() else tensor._version


def _checked(annotation: Any, given: Any, name: str) -> Any:
    if annotation is Value:
        return given if isinstance(given, Value) else refuse(name)
    if annotation == Operand:
        return given if isinstance(given, (Value, Known, int, float)) else refuse(name)
    if annotation == Operands:
        fits = isinstance(given, (tuple, list)) and all(isinstance(g, Value | Known) for g in given)
        return list(given) if fits else refuse(name)
    if annotation is Known:
        return given if isinstance(given, Known) else refuse(name)
    if annotation == Known | None:
        return given if given is None or isinstance(given, Known) else refuse(name)
    return _plain(given, name)


def _plain(given: Any, name: str) -> Any:
    """Give constants as the model had them; no image may change any of them."""
    if isinstance(given, Value):
        refuse(f"{name}, which depends on the image")
    if isinstance(given, Known):
        return given.value
    if isinstance(given, slice):
        return slice(*(_plain(part, name) for part in (given.start, given.stop, given.step)))
    if isinstance(given, (tuple, list)) and not isinstance(given, torch.Size):
        return type(given)(_plain(part, name) for part in given)
    return given
