"""What certificates know of functions and methods that combine values or bend them.

Each entry is called with the program and the arguments of the model's own call, by the names and
defaults that PyTorch gives them; what it does not take is refused.
"""

import math

import torch
from torch import Tensor

from gauntlet.certify import _shaping
from gauntlet.certify._curves import curve
from gauntlet.certify._ops import Activation, MaxPool, Scale, Shape, Sum
from gauntlet.certify._shaping import expanded
from gauntlet.certify._symbols import Known, Operand, Program, Value, known, number, refuse

SURE = 20  # softplus is a straight line from here on


def scaled(
    program: Program, value: Value, factor: Known | float = 1.0, shift: Known | float = 0.0
) -> Value:
    """Multiply by a constant and add another, each for all values or broadcast."""
    factor, shift = (_aligned(program, value, known(part)) for part in (factor, shift))
    shapes = [part.value.shape[1:] for part in (factor, shift) if part.value.dim()]
    value = expanded(program, value, tuple(torch.broadcast_shapes(value.shape, *shapes)))
    return program.apply(Scale(lambda: (factor.fresh(), shift.fresh())), value)


def _aligned(program: Program, value: Value, constant: Known) -> Known:
    """Give a constant as [1, ...] with as many dimensions as the values, or as a number."""
    tensor, rank = constant.value, len(value.shape) + 1
    if not bool(tensor.isfinite().all()):
        refuse("a constant that is not finite")
    if tensor.dim() == 0:
        return constant
    if tensor.dim() > rank:
        refuse(f"a constant of {tensor.dim()} dimensions beside values of {rank}")
    if tensor.dim() < rank:
        missing = [1] * (rank - tensor.dim())
        return constant.map(lambda tensor: tensor.reshape(*missing, *tensor.shape))
    if len(tensor) not in (1, program.batch) or not torch.equal(
        tensor[:1].expand_as(tensor), tensor
    ):
        refuse("a constant that differs from image to image of a batch")
    return constant.map(lambda tensor: tensor[:1])


def plus(program: Program, one: Value, other: Value) -> Value:
    """Add two values, broadcast to one shape."""
    if len(one.shape) != len(other.shape):
        refuse(f"a sum of shapes {one.shape} and {other.shape}")
    shape = tuple(torch.broadcast_shapes(one.shape, other.shape))
    return program.apply(Sum(), *(expanded(program, value, shape) for value in (one, other)))


def add(program: Program, input: Operand, other: Operand, alpha=1) -> Value:
    alpha = number(alpha, "add")
    if isinstance(other, Value):
        other = other if alpha == 1 else scaled(program, other, alpha)
        if isinstance(input, Value):
            return plus(program, input, other)
        return scaled(program, other, shift=input)
    return scaled(program, input, shift=known(other).map(lambda tensor: alpha * tensor))


def subtract(program: Program, input: Operand, other: Operand, alpha=1) -> Value:
    return add(program, input, other, -number(alpha, "sub"))


def reversed_subtract(program: Program, input: Operand, other: Operand, alpha=1) -> Value:
    return subtract(program, other, input, alpha)


def multiply(program: Program, input: Operand, other: Operand) -> Value:
    if isinstance(input, Value) and isinstance(other, Value):
        refuse("mul of two layers")
    value, factor = (input, other) if isinstance(input, Value) else (other, input)
    return scaled(program, value, factor)


def divide(program: Program, input: Operand, other: Operand, rounding_mode=None) -> Value:
    if rounding_mode is not None:
        refuse("div that rounds")
    if isinstance(other, Value):
        refuse("div by a layer")
    return scaled(program, input, known(other).map(lambda tensor: 1 / tensor))


def negate(program: Program, input: Value) -> Value:
    return scaled(program, input, -1.0)


def same(program: Program, input: Value) -> Value:
    return input


def cast(program: Program, input: Value, *args, memory_format=None, non_blocking=False) -> Value:
    if any(not isinstance(arg, (torch.device, str)) for arg in args):
        refuse("to another type")
    return input


def relu(program: Program, input: Value, inplace=False) -> Value:
    return program.apply(Activation(), input)


def leaky_relu(program: Program, input: Value, negative_slope=0.01, inplace=False) -> Value:
    slope = number(negative_slope, "leaky_relu")
    if not math.isfinite(slope):
        refuse(f"leaky_relu with a slope of {slope}")
    if slope <= 1:
        return program.apply(Activation(slope), input)
    turned = program.apply(Activation(1 / slope), scaled(program, input, -1.0))
    return scaled(program, turned, -slope)


def absolute(program: Program, input: Value) -> Value:
    return program.apply(Activation(-1.0), input)


def clamp(program: Program, input: Value, min=None, max=None) -> Value:
    """Cut at both sides: max - relu(max - min - relu(x - min))."""
    low, high = (None if b is None else number(b, "clamp") for b in (min, max))
    low, high = None if low == -math.inf else low, None if high == math.inf else high
    if low is None and high is None:
        return input
    if high is None:
        return scaled(program, _above(program, input, low), shift=low)
    if low is None:
        return scaled(program, relu(program, scaled(program, input, -1.0, high)), -1.0, high)
    rest = scaled(program, _above(program, input, low), -1.0, high - low)
    return scaled(program, relu(program, rest), -1.0, high)


def _above(program: Program, value: Value, low: float) -> Value:
    return relu(program, scaled(program, value, shift=-low))


def at_least(program: Program, input: Value, min) -> Value:
    return clamp(program, input, min)


def at_most(program: Program, input: Value, max) -> Value:
    return clamp(program, input, None, max)


def relu6(program: Program, input: Value, inplace=False) -> Value:
    return clamp(program, input, 0.0, 6.0)


def hardtanh(program: Program, input: Value, min_val=-1.0, max_val=1.0, inplace=False) -> Value:
    return clamp(program, input, min_val, max_val)


def hardsigmoid(program: Program, input: Value, inplace=False) -> Value:
    return clamp(program, scaled(program, input, 1 / 6, 0.5), 0.0, 1.0)


def bent(kind: str, program: Program, input: Value) -> Value:
    return program.apply(curve(kind), input)


def silu(program: Program, input: Value, inplace=False) -> Value:
    return bent("silu", program, input)


def gelu(program: Program, input: Value, approximate="none") -> Value:
    if approximate not in ("none", "tanh"):
        refuse(f"gelu with approximate {approximate}")
    return bent("gelu" if approximate == "none" else "gelu_tanh", program, input)


def softplus(program: Program, input: Value, beta=1.0, threshold=20.0) -> Value:
    beta, threshold = number(beta, "softplus"), number(threshold, "softplus")
    if not 0 < beta < math.inf or threshold < SURE:
        refuse(f"softplus with beta {beta} and threshold {threshold}")
    return scaled(program, bent("softplus", program, scaled(program, input, beta)), 1 / beta)


def log_sigmoid(program: Program, input: Value) -> Value:
    return negate(program, bent("softplus", program, negate(program, input)))


def elu(program: Program, input: Value, alpha=1.0, inplace=False) -> Value:
    alpha = number(alpha, "elu")
    if not 0 <= alpha < math.inf:
        refuse(f"elu with alpha {alpha}")
    return program.apply(curve("elu", float(alpha)), input)


def celu(program: Program, input: Value, alpha=1.0, inplace=False) -> Value:
    alpha = number(alpha, "celu")
    if not 0 < alpha < math.inf:
        refuse(f"celu with alpha {alpha}")
    return scaled(program, elu(program, scaled(program, input, 1 / alpha)), alpha)


def selu(program: Program, input: Value, inplace=False) -> Value:
    return scaled(program, elu(program, input, 1.6732632423543772), 1.0507009873554805)


def maximum(program: Program, input: Operand, other: Operand) -> Value:
    """Take the larger of two values, as max pooling over windows of two; or of a constant."""
    if not (isinstance(input, Value) and isinstance(other, Value)):
        value, bound = (input, other) if isinstance(input, Value) else (other, input)
        if not isinstance(bound, Known):
            refuse("max over a dimension")
        low = bound.map(lambda tensor: -tensor)
        return scaled(program, relu(program, scaled(program, value, shift=low)), shift=bound)
    if len(input.shape) != len(other.shape):
        refuse(f"a maximum of shapes {input.shape} and {other.shape}")
    shape = tuple(torch.broadcast_shapes(input.shape, other.shape))
    size = math.prod(shape)
    flat = [
        program.apply(Shape(shape, (1, 1, size)), expanded(program, value, shape))
        for value in (input, other)
    ]
    both = _shaping.cat(program, flat, 2)
    most = program.apply(MaxPool((2, 1), (2, 1), 0, 1, both.shape), both)
    return program.apply(Shape(most.shape, shape), most)


def minimum(program: Program, input: Operand, other: Operand) -> Value:
    one, two = (_negative(program, operand) for operand in (input, other))
    return negate(program, maximum(program, one, two))


def _negative(program: Program, operand: Operand) -> Operand:
    if isinstance(operand, Value):
        return negate(program, operand)
    return operand.map(Tensor.neg) if isinstance(operand, Known) else operand
