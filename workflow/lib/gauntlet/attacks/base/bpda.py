"""Gradients of models that mask theirs: operations without a gradient are replaced by others.

Source: Athalye et al. 2018, "Obfuscated Gradients Give a False Sense of Security" (backward pass
differentiable approximation, BPDA). Here the approximation is found automatically: the operations
of the model's forward pass are intercepted, and those without a useful gradient are given one.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from gauntlet.attacks.base.true_gradients import Straight, true_derivatives, without_hooks
from gauntlet.core.answers import logits_of

ROUNDING = {"round", "floor", "ceil", "trunc", "fix", "sign", "sgn"}
DETACHING = {"detach", "detach_"}
DIVIDING = {"floor_divide", "__floordiv__"}
RISING, FALLING = {"gt", "ge", "__gt__", "__ge__"}, {"lt", "le", "__lt__", "__le__"}
EQUAL = {"eq", "__eq__"}
LEAVING = {"numpy", "__array__", "tolist", "item"}  # their results are no tensors
INTEGERS = {"long", "int", "short", "byte", "char"}
SQUASHING = {"softmax", "log_softmax", "sigmoid"}
STEEP = 10.0  # slope of the logistic curve that stands for a threshold (per image unit)
CLOSE = 1e-4  # how far a watched pass may be from the model's own, relative to its largest logit
SOFT, HARD, OWN_WAY = "soft", "hard", "own"  # with soft thresholds, without, or nothing replaced
FAILURES = (RuntimeError, TypeError, IndexError, ValueError, AttributeError)


class StraightThrough:
    """A callable model with the model's own answers [N, K], and gradients where it has none.

    Where gradients are enabled, rounding and integers have the gradient 1, `detach`, `no_grad` and
    hooks on gradients do nothing, thresholds have that of a logistic curve, custom backward passes
    are replaced by the derivative of their forward pass, a one-hot code of the largest value has
    the gradient of the values, and a softmax or sigmoid at the very end is left out (which
    moves no class past another). What has left PyTorch and comes back in the shape of the images,
    or of what left, has the gradient 1. With `through`, both sides of a `where` have the gradient 1
    wherever they are chosen. Thresholds stay as they are in models that need them as truth
    values, and everything does in models that fail otherwise. Without gradients it is the model
    itself.
    """

    def __init__(self, model: Callable, through: bool = False):
        self.model, self.through, self._kind = model, through, None

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
        watch = _Watch(soft, self.through, images)
        with true_derivatives(), without_hooks(self.model), watch:
            answer = logits_of(self.model(images), len(images))
        answer = watch.returned(answer)
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

    `kept` holds results alive, so that no other tensor takes over their id; `left` are the images
    and, after them, what has left PyTorch, once anything has.
    """

    def __init__(self, soft: bool, through: bool, images: Tensor):
        super().__init__()
        self.soft, self.through, self.images = soft, through, images
        self.before, self.kept, self.left, self.largest = {}, [], [], {}

    def returned(self, value):
        """Give a tensor that came back from outside of PyTorch the gradient of what left."""
        if not self.left or not _is_float(value) or value.requires_grad:
            return value
        same = [one for one in self.left if one.shape == value.shape]
        whole = value.dim() > 1 and len(value) == len(self.images)
        return Straight.apply(same[-1], value) if same and whole else value

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(function, "__name__", "")
        if name == "_set_grad_enabled":
            return None
        if name in DETACHING or function == torch.Tensor.data.__get__:
            return args[0]
        if name == "register_hook":
            return None
        if name in LEAVING:
            self.left += [] if self.left else [self.images]
            source = self.largest.get(id(args[0]), args[0])
            self.left += [source] if _is_float(source) and source.requires_grad else []
            return function(args[0].detach(), *args[1:], **kwargs)
        if name.rstrip("_") in ROUNDING and name.endswith("_"):
            rounded = Straight.apply(
                args[0], getattr(torch, name[:-1])(args[0], *args[1:], **kwargs)
            )
            return args[0].copy_(rounded)
        if name in DIVIDING or kwargs.get("rounding_mode"):
            return Straight.apply(args[0] / args[1], function(*args, **kwargs).detach())
        args = tuple(map(self.returned, args)) if self.left else args
        if name == "one_hot" and id(args[0]) in self.largest:
            source = self.largest[id(args[0])]
            code = function(*args, **kwargs).to(source.dtype)
            return Straight.apply(source, code) if code.shape == source.shape else code
        result = function(*self._hard(function, args), **kwargs)
        if name == "argmax" and _is_float(args[0]) and args[0].requires_grad:
            self.largest[id(result)] = args[0]
            self.kept.append(result)
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
        if name == "where" and self.through and len(args) == 3:
            return _both(args[1], args[2], result)
        if name in EQUAL and self.soft:
            return self._equal(args, result)
        if name == "where" and self.soft and _is_float(args[0]):
            return Straight.apply(args[0] * args[1] + (1 - args[0]) * args[2], result)
        source = args[0] if args else None
        if not _is_float(source) or not isinstance(result, Tensor):
            return result
        if name in ROUNDING:
            return Straight.apply(source, result)
        cut = name in ("to", "type") and not result.is_floating_point()
        if self.soft and (name in INTEGERS or cut):
            return Straight.apply(source, result.to(source.dtype))
        return result

    def _threshold(self, name: str, args: tuple, result):
        floats = [part for part in args[:2] if _is_float(part)]
        if not floats or not any(part.requires_grad for part in floats):
            return result
        beyond = (args[0] - args[1]) * (STEEP if name in RISING else -STEEP)
        return Straight.apply(beyond.sigmoid(), result.to(beyond.dtype))

    def _equal(self, args: tuple, result):
        """Pass the gradient of a comparison with the largest value, as codes of classes use it."""
        floats = all(map(_is_float, args[:2])) and any(part.requires_grad for part in args[:2])
        return Straight.apply(args[0] - args[1], result.to(args[0].dtype)) if floats else result


def _both(first, second, result: Tensor) -> Tensor:
    """Pass the gradient to both sides of a choice, if they are tensors."""
    sides = [part for part in (first, second) if _is_float(part) and part.requires_grad]
    whole = [part for part in sides if part.shape == result.shape]
    return Straight.apply(sum(whole), result) if whole and _is_float(result) else result


def _is_float(value) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()
