"""The operations of a network, as linear bounds see them.

An affine operation maps values [N, ...] forwards, coefficients [M, ...] of its output to those of
its input (`adjoint`), radii of intervals to radii (`spread`), and gives what coefficients make of
its constant part (`offset` [M]).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Input:
    """The image."""


class Sum:
    """The sum of two operations' results."""

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        return one + other


class Activation:
    """ReLU, or leaky ReLU with a slope from 0 to 1 below zero."""

    def __init__(self, slope: float = 0.0):
        self.slope = slope

    def forward(self, values: Tensor) -> Tensor:
        return torch.maximum(values, self.slope * values)


class Convolution:
    """A 2-d convolution with zeros around the image."""

    def __init__(self, layer: nn.Conv2d, shape: tuple[int, ...]):
        self.layer, self.shape = layer, shape
        self.grid = (layer.stride, layer.padding, layer.dilation, layer.groups)

    def forward(self, values: Tensor) -> Tensor:
        return F.conv2d(values, self.layer.weight, self.layer.bias, *self.grid)

    def spread(self, radius: Tensor) -> Tensor:
        return F.conv2d(radius, self.layer.weight.abs(), None, *self.grid)

    def adjoint(self, rows: Tensor) -> Tensor:
        stride, padding, dilation, groups = self.grid
        kernel = self.layer.kernel_size
        reached = [
            (size - 1) * step - 2 * pad + wide * (width - 1) + 1
            for size, step, pad, wide, width in zip(
                rows.shape[2:], stride, padding, dilation, kernel, strict=True
            )
        ]
        rest = [want - got for want, got in zip(self.shape[1:], reached, strict=True)]
        weight = self.layer.weight
        return F.conv_transpose2d(rows, weight, None, stride, padding, rest, groups, dilation)

    def offset(self, rows: Tensor) -> Tensor:
        bias = self.layer.bias
        return rows.new_zeros(len(rows)) if bias is None else rows.sum((2, 3)) @ bias


class Dense:
    """A matrix product on the last dimension."""

    def __init__(self, layer: nn.Linear, shape: tuple[int, ...]):
        self.layer = layer

    def forward(self, values: Tensor) -> Tensor:
        return F.linear(values, self.layer.weight, self.layer.bias)

    def spread(self, radius: Tensor) -> Tensor:
        return F.linear(radius, self.layer.weight.abs())

    def adjoint(self, rows: Tensor) -> Tensor:
        return rows @ self.layer.weight

    def offset(self, rows: Tensor) -> Tensor:
        bias = self.layer.bias
        return rows.new_zeros(len(rows)) if bias is None else (rows * bias).flatten(1).sum(1)


class Scale:
    """A constant factor and a constant shift, which fit each value or are shared by some.

    Both are asked for anew each time, so that they may be parameters in training.
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
    """A linear map without constant whose weights are 0 or more, such as average pooling."""

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
        self.stride, self.dilation = _pair(kernel if stride is None else stride), _pair(dilation)
        self.shape = shape

    def forward(self, values: Tensor) -> Tensor:
        return F.max_pool2d(values, self.kernel, self.stride, self.padding, self.dilation)

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
    return (value, value) if isinstance(value, int) else tuple(value)
