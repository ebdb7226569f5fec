"""Linear functions below and above activations and max pooling, between bounds of their inputs."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gauntlet.certify._curves import Curve
from gauntlet.certify._ops import Activation, MaxPool

TINY = 1e-30
SLOPES = ("fast_lin", "adaptive", "alpha")


@dataclass
class Lines:
    """For activations: below lies `low` * z + `floor`, above `high` * z + `lift`; all [N, ...]."""

    low: Tensor
    high: Tensor
    lift: Tensor
    free: Tensor  # where the lower slope may be any from the activation's own to 1
    floor: Tensor | None = None  # None: 0, as for every ReLU

    def back(self, rows: Tensor, owner: Tensor) -> tuple[Tensor, Tensor]:
        """Give coefficients [M, ...] before the activation, and a constant [M].

        Coefficients [M, ...] behind it belong to the examples `owner` [M].
        """
        below = rows.clamp(max=0)
        above = rows.clamp(min=0)
        before = above * self.low[owner] + below * self.high[owner]
        constant = (below * self.lift[owner]).flatten(1).sum(1)
        if self.floor is not None:
            constant = constant + (above * self.floor[owner]).flatten(1).sum(1)
        return before, constant

    def map(self, function: Callable[[Tensor], Tensor]) -> "Lines":
        """Give a function, such as a selection, of all parts."""
        parts = (self.low, self.high, self.lift, self.free)
        floor = None if self.floor is None else function(self.floor)
        return Lines(*map(function, parts), floor)


def lines_of(
    op: Activation | Curve | MaxPool, low: Tensor, high: Tensor, slopes: str
) -> "Lines | Windows":
    """Give the linear functions of an operation whose inputs lie between `low` and `high`."""
    if isinstance(op, MaxPool):
        return pool_windows(op, low, high)
    return (
        curve_lines(op, low, high) if isinstance(op, Curve) else relu_lines(op, low, high, slopes)
    )


def curve_lines(op: Curve, low: Tensor, high: Tensor) -> Lines:
    """Give the lines of a smooth activation that leave least area, for fixed `low` and `high`."""
    (under, floor), (over, lift) = op.below(low, high), op.above(low, high)
    return Lines(under, over, lift, torch.zeros_like(low, dtype=torch.bool), floor)


def relu_lines(op: Activation, low: Tensor, high: Tensor, slopes: str) -> Lines:
    """Give the lines of an activation whose inputs lie between `low` and `high` [N, ...].

    Above lies the chord. Below: a parallel to it through 0 (`fast_lin`: Weng et al. 2018, "Towards
    Fast Computation of Certified Robustness for ReLU Networks"; the same as the dual of Wong &
    Kolter 2018), or whichever of the two sides of the kink leaves less area (`adaptive`: Zhang et
    al. 2018, "Efficient Neural Network Robustness Certification with General Activation
    Functions").
    """
    free = (low < 0) & (high > 0)
    chord = (high - op.slope * low) / (high - low).clamp(min=TINY)
    fixed = torch.where(low >= 0, 1.0, op.slope).to(low.dtype)
    steep = torch.where(free, chord, fixed)
    if slopes == "fast_lin":
        under = steep
    else:
        under = torch.where(free, torch.where(high > -low, 1.0, op.slope).to(low.dtype), fixed)
    return Lines(under, steep, torch.where(free, high * (1 - chord), 0.0).to(low.dtype), free)


@dataclass
class Windows:
    """For max pooling: below lies one pixel of each window, above a sum of them plus `lift`."""

    op: MaxPool
    low: Tensor  # [N, C, window, places]: 1 at the pixel
    high: Tensor
    lift: Tensor  # [N, C, places]

    def back(self, rows: Tensor, owner: Tensor) -> tuple[Tensor, Tensor]:
        """Give coefficients before the pooling, and a constant [M]; as in `Lines`."""
        flat = rows.flatten(2)
        above, below = flat.clamp(min=0)[:, :, None], flat.clamp(max=0)
        spread = above * self.low[owner] + below[:, :, None] * self.high[owner]
        return self.op.gathered(spread), (below * self.lift[owner]).flatten(1).sum(1)


def pool_windows(op: MaxPool, low: Tensor, high: Tensor) -> Windows:
    """Give the bounds of max pooling whose inputs lie between `low` and `high` [N, C, H, W].

    With L the largest lower bound of a window, max x <= L + the sum of max(x_j - L, 0), each below
    its chord; where that is worse in the middle, the largest upper bound is taken. A window whose
    winner is known is exact.
    """
    low, high = op.windows(low), op.windows(high)
    floor, best = low.max(2, keepdim=True)
    under = torch.zeros_like(low).scatter_(2, best, 1.0)
    known = low.isfinite()
    base = torch.where(known, low, 0.0)
    width = torch.where(known, high - low, 1.0)
    chord = torch.where(known & (high > floor), (high - floor) / width.clamp(min=TINY), 0.0)
    chord = torch.where(known & (low >= floor), 1.0, chord.clamp(max=1))
    lift = floor.squeeze(2) - (chord * base).sum(2)
    middle = torch.where(known, (low + high) / 2, 0.0)
    worse = (chord * middle).sum(2) + lift > high.amax(2)
    chord = torch.where(worse[:, :, None], 0.0, chord)
    return Windows(op, under, chord, torch.where(worse, high.amax(2), lift))


def undecided(op: Activation | Curve | MaxPool, low: Tensor, high: Tensor) -> Tensor:
    """Tell for which inputs between `low` and `high` better bounds would help: bool [N, ...]."""
    if isinstance(op, Curve):
        return low < high
    if isinstance(op, Activation):
        return (low < 0) & (high > 0)
    lows, highs = op.windows(low), op.windows(high)
    rival = highs > lows.amax(2, keepdim=True)
    open_windows = (rival & (rival.sum(2, keepdim=True) > 1)).to(low.dtype)
    return op.gathered(open_windows) > 0
