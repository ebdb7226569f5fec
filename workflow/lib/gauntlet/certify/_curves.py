"""Smooth activations: the range of their values, and the best lines below and above them.

Every line is sound by construction: for any slope k, the least and the largest value of f(z) - k z
between two bounds lie at the bounds, at a knot, or where f'(z) = k. Such points are looked up in a
table of f', whose steps bound the error.
"""

import math
from collections.abc import Callable
from functools import cache, cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

REACH = 24.0  # beyond it, a function differs from a straight line by less than TAIL
TAIL = 1e-8
STEPS = 1 << 15  # of a table, for each piece
HALVINGS = 12  # of the search for a slope
INSIDE = 1e-9  # how far a table stays away from a knot, where f' may jump


class Curve:
    """One smooth function of each value; `knots` are the places between which f' is monotone."""

    def __init__(self, function: Callable[[Tensor], Tensor], *knots: float):
        self.forward, self.knots = function, knots

    @cached_property
    def pieces(self) -> list[tuple[Tensor, Tensor]]:
        """Give, for each piece, its points and the slopes there, both float64 [STEPS]."""
        ends = (-REACH, *self.knots, REACH)
        found = []
        for start, end in zip(ends, ends[1:], strict=False):
            with torch.inference_mode(False), torch.enable_grad():
                points = torch.linspace(
                    start + INSIDE, end - INSIDE, STEPS, dtype=torch.float64, requires_grad=True
                )
                (slopes,) = torch.autograd.grad(self.forward(points).sum(), points)
            found.append((points.detach(), slopes))
        return found

    @cached_property
    def tables(self) -> list[tuple[Tensor, Tensor, bool]]:
        """Give, for each piece, its points, its slopes in rising order, and whether they fall."""
        tables = []
        for points, slopes in self.pieces:
            falls = bool(slopes[-1] < slopes[0])
            tables.append((points, (-slopes if falls else slopes).cummax(0).values, falls))
        return tables

    @cached_property
    def error(self) -> float:
        """Give by how much an extreme value that was looked up may be wrong."""
        worst = 0.0
        for points, slopes in self.pieces:
            step = float(points[1] - points[0]) + INSIDE
            worst = max(worst, float(slopes.diff().abs().max()) * 1.1 * step)
        return TAIL + worst

    @cached_property
    def slopes(self) -> tuple[float, float]:
        """Give the least and the largest slope anywhere."""
        every = torch.cat([slopes for _, slopes in self.pieces])
        return float(every.min()), float(every.max())

    def range(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Bound the values between `low` and `high` [N, ...]."""
        heights, _ = self._heights(low, high, torch.zeros_like(low, dtype=torch.float64))
        least, most = heights.amin(0) - self.error, heights.amax(0) + self.error
        return least.to(low.dtype), most.to(low.dtype)

    def below(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Give slope and lift of the line below that is highest in the middle: [N, ...]."""
        slope = self._best(low, high, -1)
        heights, _ = self._heights(low, high, slope)
        return slope.to(low.dtype), (heights.amin(0) - self.error).to(low.dtype)

    def above(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Give slope and lift of the line above that is lowest in the middle: [N, ...]."""
        slope = self._best(low, high, 1)
        heights, _ = self._heights(low, high, slope)
        return slope.to(low.dtype), (heights.amax(0) + self.error).to(low.dtype)

    @torch.no_grad()
    def _best(self, low: Tensor, high: Tensor, side: int) -> Tensor:
        """Bisect the slope, by whether its line touches left or right of the middle."""
        middle = (low.double() + high.double()) / 2
        least, most = (torch.full_like(middle, end) for end in self.slopes)
        for _ in range(HALVINGS):
            slope = (least + most) / 2
            heights, points = self._heights(low, high, slope)
            touch = (side * heights).argmax(0, keepdim=True)
            steeper = side * (points.gather(0, touch)[0] - middle) > 0
            least, most = torch.where(steeper, slope, least), torch.where(steeper, most, slope)
        return ((least + most) / 2).to(low.dtype).double()

    def _heights(self, low: Tensor, high: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
        """Give f(z) - slope * z at every z that may be extreme, and those z: [points, N, ...]."""
        low, high = low.double(), high.double()
        with torch.no_grad():
            tried = [_where(slope, *table) for table in self.tables]
            tried += [torch.full_like(slope, z) for z in (-REACH, *self.knots, REACH)]
        points = [low, high, *(torch.minimum(torch.maximum(z, low), high) for z in tried)]
        stacked = torch.stack(points)
        return self.forward(stacked) - slope * stacked, stacked


def _where(slope: Tensor, points: Tensor, rising: Tensor, falls: bool) -> Tensor:
    """Look up where a monotone f' takes a slope: a point within one step of it."""
    points, rising = points.to(slope.device), rising.to(slope.device)
    place = torch.searchsorted(rising, (-slope if falls else slope).contiguous())
    return points[place.clamp(max=len(points) - 1)]


@cache
def curve(name: str, alpha: float = 1.0) -> Curve:
    """Give a function by its name; `alpha` is ELU's. A function is made, and its table, once."""
    return {
        "sigmoid": lambda: Curve(torch.sigmoid, 0.0),
        "tanh": lambda: Curve(torch.tanh, 0.0),
        "softplus": lambda: Curve(F.softplus),
        "elu": lambda: Curve(lambda z: F.elu(z, alpha), 0.0),
        "gelu": lambda: Curve(F.gelu, -math.sqrt(2), math.sqrt(2)),
        "gelu_tanh": lambda: Curve(lambda z: F.gelu(z, approximate="tanh"), *_inflections("tanh")),
        "silu": lambda: Curve(F.silu, *_inflections("silu")),
    }[name]()


def _inflections(name: str) -> tuple[float, float]:
    """Find where the slope of a function turns, by bisection of its second derivative."""
    function = {"silu": F.silu, "tanh": lambda z: F.gelu(z, approximate="tanh")}[name]
    return _turn(function, -4.0, 0.0), _turn(function, 0.0, 4.0)


def _turn(function: Callable[[Tensor], Tensor], start: float, end: float) -> float:
    first = _second(function, start)
    for _ in range(50):
        middle = (start + end) / 2
        if _second(function, middle) * first > 0:
            start = middle
        else:
            end = middle
    return start


def _second(function: Callable[[Tensor], Tensor], place: float) -> float:
    with torch.inference_mode(False), torch.enable_grad():
        point = torch.tensor(place, dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(function(point), point, create_graph=True)
        return float(torch.autograd.grad(slope, point)[0])
