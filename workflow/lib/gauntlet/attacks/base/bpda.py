"""Gradients of models that mask theirs: operations without a gradient are replaced by others.

Source: Athalye et al. 2018, "Obfuscated Gradients Give a False Sense of Security" (backward pass
differentiable approximation, BPDA). Here the approximation is found automatically: the operations
of the model's forward pass are intercepted, and those without a useful gradient are given one.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.autograd import Function
from torch.overrides import TorchFunctionMode

from gauntlet.core.answers import logits_of

ROUNDING = {"round", "floor", "ceil", "trunc", "fix", "sign", "sgn"}
DETACHING = {"detach", "detach_"}
DIVIDING = {"floor_divide", "__floordiv__"}
RISING, FALLING = {"gt", "ge", "__gt__", "__ge__"}, {"lt", "le", "__lt__", "__le__"}
LEAVING = {"numpy", "__array__", "tolist", "item"}  # their results are no tensors
INTEGERS = {"long", "int", "short", "byte", "char"}
SQUASHING = {"softmax", "log_softmax", "sigmoid"}
STEEP = 10.0  # slope of the logistic curve that stands for a threshold (per image unit)
CLOSE = 1e-4  # how far a watched pass may be from the model's own, relative to its largest logit
SOFT, HARD, OWN_WAY = "soft", "hard", "own"  # with soft thresholds, without, or nothing replaced
FAILURES = (RuntimeError, TypeError, IndexError, ValueError, AttributeError)
OWN = ("torch.", "gauntlet.")  # modules whose autograd functions have the true derivative


class StraightThrough:
    """A callable model with the model's own answers [N, K], and gradients where it has none.

    Where gradients are enabled, rounding and integers have the gradient 1, `detach` and `no_grad`
    do nothing, thresholds have that of a logistic curve, custom backward passes are replaced by the
    derivative of their forward pass, and a softmax or sigmoid at the very end is left out (which
    moves no class past another). Thresholds stay as they are in models that need them as truth
    values, and everything does in models that fail otherwise. Without gradients it is the model
    itself.
    """

    def __init__(self, model: Callable):
        self.model, self._kind = model, None

    def __call__(self, images: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return logits_of(self.model(images), len(images))
        if self._kind is None:
            self._kind = SOFT if self._agrees(images) else HARD if self._runs(images) else OWN_WAY
        if self._kind == OWN_WAY:
            return logits_of(self.model(images), len(images))
        return self._watched(images, self._kind == SOFT)[0]

    def _watched(self, images: Tensor, soft: bool) -> tuple[Tensor, Tensor]:
        """Give what a gradient is taken of, and what the model answers: [N, K] each."""
        watch = _Watch(soft)
        with _true_derivatives(), watch:
            answer = logits_of(self.model(images), len(images))
        return watch.before.get(id(answer), answer), answer

    def _agrees(self, images: Tensor) -> bool:
        """Tell whether the model can be run with soft thresholds, and still answers the same."""
        try:
            with torch.random.fork_rng():
                torch.manual_seed(0)
                soft = self._watched(images.clone(), True)[1].detach()
                torch.manual_seed(0)
                with torch.no_grad():
                    own = logits_of(self.model(images.clone()), len(images))
        except FAILURES:
            return False
        same = soft.shape == own.shape
        return same and bool((soft - own).abs().max() <= CLOSE * own.abs().max().clamp(min=1))

    def _runs(self, images: Tensor) -> bool:
        """Tell whether the model can be run with replaced operations, or only as it is."""
        try:
            with torch.random.fork_rng():
                self._watched(images.clone(), False)
        except FAILURES:
            return False
        return True


class _Watch(TorchFunctionMode):
    """Give operations without a gradient one; `before` maps squashed results to their sources.

    `kept` holds results alive, so that no other tensor takes over their id.
    """

    def __init__(self, soft: bool):
        super().__init__()
        self.soft, self.before, self.kept = soft, {}, []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(function, "__name__", "")
        if name == "_set_grad_enabled":
            return None
        if name in DETACHING or function == torch.Tensor.data.__get__:
            return args[0]
        if name in LEAVING:
            return function(args[0].detach(), *args[1:], **kwargs)
        if name.rstrip("_") in ROUNDING and name.endswith("_"):
            rounded = _Straight.apply(
                args[0], getattr(torch, name[:-1])(args[0], *args[1:], **kwargs)
            )
            return args[0].copy_(rounded)
        if name in DIVIDING or kwargs.get("rounding_mode"):
            return _Straight.apply(args[0] / args[1], function(*args, **kwargs).detach())
        result = function(*self._hard(function, args), **kwargs)
        if name in SQUASHING or (name == "log" and id(args[0]) in self.before):
            self.before[id(result)] = self.before.get(id(args[0]), args[0])
            self.kept.append(result)
        return self._passed(name, args, result)

    def _hard(self, function, args: tuple) -> tuple:
        """Turn a soft truth value back into a bool where an operation needs one."""
        if function is torch.where and args and _is_float(args[0]):
            return (args[0].detach() > 0.5, *args[1:])
        return args

    def _passed(self, name: str, args: tuple, result):
        if name in RISING | FALLING:
            return self._threshold(name, args, result) if self.soft else result
        if name == "where" and self.soft and _is_float(args[0]):
            return _Straight.apply(args[0] * args[1] + (1 - args[0]) * args[2], result)
        source = args[0] if args else None
        if not _is_float(source) or not isinstance(result, Tensor):
            return result
        if name in ROUNDING:
            return _Straight.apply(source, result)
        cut = name in ("to", "type") and not result.is_floating_point()
        if self.soft and (name in INTEGERS or cut):
            return _Straight.apply(source, result.to(source.dtype))
        return result

    def _threshold(self, name: str, args: tuple, result):
        floats = [part for part in args[:2] if _is_float(part)]
        if not floats or not any(part.requires_grad for part in floats):
            return result
        beyond = (args[0] - args[1]) * (STEEP if name in RISING else -STEEP)
        return _Straight.apply(beyond.sigmoid(), result.to(beyond.dtype))


class _Straight(Function):
    """Give the exact value, and pass the gradient to the approximation."""

    @staticmethod
    def forward(ctx, approximation: Tensor, exact: Tensor) -> Tensor:
        return exact.clone()

    @staticmethod
    def backward(ctx, gradient: Tensor):
        return gradient, None


class _NoContext:
    """A context that a custom forward pass can write to; nothing reads it."""

    needs_input_grad = (True,) * 64

    def save_for_backward(self, *tensors) -> None:
        self.saved_tensors = tensors

    def mark_dirty(self, *tensors) -> None: ...

    def mark_non_differentiable(self, *tensors) -> None: ...

    def set_materialize_grads(self, value) -> None: ...


@contextmanager
def _true_derivatives() -> Iterator[None]:
    """Give custom autograd functions of others the derivative of their forward pass."""
    original = Function.__dict__["apply"]

    def apply(cls, *args, **kwargs):
        if f"{cls.__module__}.".startswith(OWN):
            return original.__get__(None, cls)(*args, **kwargs)
        if cls.setup_context is not Function.setup_context:
            return cls.forward(*args, **kwargs)
        return cls.forward(_NoContext(), *args, **kwargs)

    Function.apply = classmethod(apply)
    try:
        yield
    finally:
        Function.apply = original


def _is_float(value) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()
