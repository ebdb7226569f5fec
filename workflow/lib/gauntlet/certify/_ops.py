"""The operations of a network, as linear bounds see them.

An affine operation maps values [N, ...] forwards, coefficients [M, ...] of its output to those of
its input (`adjoint`), radii of intervals to radii (`spread`), and gives what coefficients make of
its constant part (`offset` [M]). A nonlinear one gives the `range` of its values between bounds.
"""

import math
from collections.abc import Callable
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional as F

Weights = Callable[[], tuple[Tensor, Tensor | None]]  # weight and bias, asked for anew each time


class Input:
    """The image."""


class Sum:
    """The sum of some operations' results, which have one shape."""

    def forward(self, *values: Tensor) -> Tensor:
        return reduce(torch.add, values)


class Activation:
    """Leaky ReLU with a slope of 1 or less below zero: 0 is ReLU, -1 the absolute value."""

    def __init__(self, slope: float = 0.0):
        self.slope = slope

    def forward(self, values: Tensor) -> Tensor:
        return torch.maximum(values, self.slope * values)

    def range(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        ends = self.forward(low), self.forward(high)
        if self.slope >= 0:
            return ends
        inside = (low <= 0) & (high >= 0)
        return torch.where(inside, 0.0, torch.minimum(*ends)), torch.maximum(*ends)


class Convolution:
    """A 2-d convolution with zeros around the image; `grid`: stride, padding, dilation, groups."""

    def __init__(self, weights: Weights, grid: tuple, shape: tuple[int, ...]):
        self.weights, self.shape = weights, shape
        *windows, groups = grid
        self.grid = (*map(_pair, windows), groups)

    def forward(self, values: Tensor) -> Tensor:
        return F.conv2d(values, *self.weights(), *self.grid)

    def spread(self, radius: Tensor) -> Tensor:
        return F.conv2d(radius, self.weights()[0].abs(), None, *self.grid)

    def adjoint(self, rows: Tensor) -> Tensor:
        stride, padding, dilation, groups = self.grid
        weight, _ = self.weights()
        reached = [
            (size - 1) * step - 2 * pad + wide * (width - 1) + 1
            for size, step, pad, wide, width in zip(
                rows.shape[2:], stride, padding, dilation, weight.shape[2:], strict=True
            )
        ]
        rest = [want - got for want, got in zip(self.shape[1:], reached, strict=True)]
        return F.conv_transpose2d(rows, weight, None, stride, padding, rest, groups, dilation)

    def offset(self, rows: Tensor) -> Tensor:
        bias = self.weights()[1]
        return rows.new_zeros(len(rows)) if bias is None else rows.sum((2, 3)) @ bias


class Dense:
    """A matrix product on the last dimension."""

    def __init__(self, weights: Weights):
        self.weights = weights

    def forward(self, values: Tensor) -> Tensor:
        return F.linear(values, *self.weights())

    def spread(self, radius: Tensor) -> Tensor:
        return F.linear(radius, self.weights()[0].abs())

    def adjoint(self, rows: Tensor) -> Tensor:
        return rows @ self.weights()[0]

    def offset(self, rows: Tensor) -> Tensor:
        bias = self.weights()[1]
        return rows.new_zeros(len(rows)) if bias is None else (rows * bias).flatten(1).sum(1)


class Scale:
    """A constant factor and a constant shift, which fit each value or are shared by some.

    Both are asked for anew each time, so that they may be parameters in training; they are numbers,
    or have as many dimensions as the values, with 1 for the batch.
    """

    def __init__(self, constants: Callable[[], tuple[Tensor, Tensor]]):
        self.constants = constants

    def forward(self, values: Tensor) -> Tensor:
        factor, shift = self.constants()
        return values * factor + shift

    def spread(self, radius: Tensor) -> Tensor:
        return radius * self.constants()[0].abs()

    def adjoint(self, rows: Tensor) -> Tensor:
        return rows * self.constants()[0]

    def offset(self, rows: Tensor) -> Tensor:
        return (rows * self.constants()[1]).flatten(1).sum(1)


class Shape:
    """The same values in another shape."""

    def __init__(self, shape: tuple[int, ...], onto: tuple[int, ...]):
        self.shape, self.onto = shape, onto

    def forward(self, values: Tensor) -> Tensor:
        return values.reshape(len(values), *self.onto)

    def spread(self, radius: Tensor) -> Tensor:
        return self.forward(radius)

    def adjoint(self, rows: Tensor) -> Tensor:
        return rows.reshape(len(rows), *self.shape)

    def offset(self, rows: Tensor) -> Tensor:
        return rows.new_zeros(len(rows))


class Average:
    """A linear map without constant whose weights are 0 or more.

    Average pooling is one; so are flips, selections, zero padding and nearest interpolation.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], shape: tuple[int, ...]):
        self.function, self.shape = function, shape

    def forward(self, values: Tensor) -> Tensor:
        return self.function(values)

    def spread(self, radius: Tensor) -> Tensor:
        return self.function(radius)

    def adjoint(self, rows: Tensor) -> Tensor:
        with torch.enable_grad():
            start = rows.new_zeros(len(rows), *self.shape).requires_grad_(True)
            onto = self.function(start)
            (given,) = torch.autograd.grad(onto, start, rows, create_graph=rows.requires_grad)
        return given

    def offset(self, rows: Tensor) -> Tensor:
        return rows.new_zeros(len(rows))


class MaxPool:
    """Max pooling; beyond the image lies minus infinity."""

    def __init__(self, kernel, stride, padding, dilation, shape: tuple[int, ...]):
        self.kernel, self.padding = _pair(kernel), _pair(padding)
        self.stride, self.dilation = _pair(stride or kernel), _pair(dilation)
        self.shape = shape

    def forward(self, values: Tensor) -> Tensor:
        return F.max_pool2d(values, self.kernel, self.stride, self.padding, self.dilation)

    def range(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        return self.forward(low), self.forward(high)

    def windows(self, values: Tensor, beyond: float = -math.inf) -> Tensor:
        """Give the values of every window: [N, C, window, places]."""
        count, channels = values.shape[:2]
        down, across = self.padding
        values = F.pad(values, (across, across, down, down), value=beyond)
        cut = F.unfold(values, self.kernel, self.dilation, 0, self.stride)
        return cut.view(count, channels, math.prod(self.kernel), -1)

    def gathered(self, rows: Tensor) -> Tensor:
        """Sum the coefficients of windows [M, C, window, places] at their pixels: [M, C, H, W]."""
        down, across = self.padding
        height, width = self.shape[1] + 2 * down, self.shape[2] + 2 * across
        flat = rows.reshape(len(rows), -1, rows.shape[3])
        whole = F.fold(flat, (height, width), self.kernel, self.dilation, 0, self.stride)
        return whole[..., down : height - down or None, across : width - across or None]


def _pair(value) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    return tuple(value) * 2 if len(value) == 1 else tuple(value)
