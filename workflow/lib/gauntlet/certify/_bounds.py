"""Bounds of every operation's results: by intervals, and by linear functions of the image.

Sources: Gowal et al. 2018, "On the Effectiveness of Interval Bound Propagation for Training
Verifiably Robust Models"; Zhang et al. 2018, "Efficient Neural Network Robustness Certification
with General Activation Functions" (CROWN).
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from gauntlet.certify._curves import Curve
from gauntlet.certify._local import is_local, least_at
from gauntlet.certify._ops import Activation, Input, MaxPool, Sum
from gauntlet.certify._region import DUAL, WIDER, Region
from gauntlet.certify._relaxed import Lines, Windows, lines_of, undecided
from gauntlet.certify._symbols import Node

Interval = tuple[Tensor, Tensor]
NONLINEAR = (Activation, Curve, MaxPool)
WIDENING = 1e-4  # of a layer's largest value
ELEMENTS = 1 << 24  # of coefficients that are held at once for one operation


@dataclass
class Bounds:
    """Intervals of each operation's results over a region, and lines at its nonlinear ones."""

    nodes: list[Node]
    region: Region
    slopes: str
    intervals: list[Interval] = field(default_factory=list)
    lines: dict[int, Lines | Windows] = field(default_factory=dict)

    def least(self, rows: Tensor, owner: Tensor, place: int | None = None) -> Tensor:
        """Give a lower bound [M] of rows [M, ...] times an operation's results (the last one's).

        Row m speaks of the region's example `owner[m]`.
        """
        place = len(self.nodes) - 1 if place is None else place
        pending, constant = {place: rows}, rows.new_zeros(len(rows))
        for number in range(place, 0, -1):
            rows = pending.pop(number, None)
            if rows is None:
                continue
            for parent, given, part in self._before(number, rows, owner):
                constant = constant + part
                pending[parent] = pending[parent] + given if parent in pending else given
        return constant + self.region.select(owner).least(pending[0])

    def _before(self, number: int, rows: Tensor, owner: Tensor):
        node = self.nodes[number]
        if isinstance(node.op, Sum):
            zero = rows.new_zeros(len(rows))
            return [(parent, rows, zero) for parent in node.parents]
        if number in self.lines:
            return [(node.parents[0], *self.lines[number].back(rows, owner))]
        return [(node.parents[0], node.op.adjoint(rows), node.op.offset(rows))]


def bound(
    nodes: list[Node], region: Region, *, slopes: str = "adaptive", refine: bool, chunk: int = 0
) -> Bounds:
    """Bound all operations, each from those before it.

    With `refine`, inputs of ReLU and max pooling that intervals leave undecided are bounded by
    linear functions too (full CROWN), `chunk` of them at a time (0: as memory allows). On a region
    that is not cut to [0, 1], all of them are, by linear functions alone: the convex outer polytope
    of Wong & Kolter 2018, "Provable Defenses against Adversarial Examples via the Convex Outer
    Adversarial Polytope".
    """
    found = Bounds(nodes, region, slopes)
    curved = {p for node in nodes if isinstance(node.op, NONLINEAR) for p in node.parents}
    for number, node in enumerate(nodes):
        found.intervals.append(_interval(found, node))
        if isinstance(node.op, NONLINEAR):
            found.lines[number] = lines_of(node.op, *found.intervals[node.parents[0]], slopes)
        if number in curved and not isinstance(node.op, Input):
            found.intervals[number] = _refined(found, number, refine, chunk)
    return found


def confirmed(found: Bounds, exact: list[Node]) -> Bounds:
    """Give the same bounds for a last step in float64, on the same operations in float64.

    Inner intervals, found in float32, are widened by far more than rounding made of them (1e-4 of
    a layer's largest value; measured: below 1e-6), so that nothing rests on it.
    """
    wider = found.region.double()
    given = Bounds(exact, wider, found.slopes)
    given.intervals = [_widened(*interval) for interval in found.intervals]
    given.intervals[0] = wider.box
    for number in found.lines:
        (parent,) = exact[number].parents
        given.lines[number] = lines_of(exact[number].op, *given.intervals[parent], found.slopes)
    return given


def _widened(low: Tensor, high: Tensor) -> Interval:
    low, high = low.double(), high.double()
    size = torch.maximum(low.abs(), high.abs()).flatten(1).amax(1)
    more = WIDENING * size.view(-1, *[1] * (low.dim() - 1))
    return low - more, high + more


def _interval(found: Bounds, node: Node) -> Interval:
    """Pass intervals through one operation."""
    if isinstance(node.op, Input):
        return found.region.box
    given = [found.intervals[parent] for parent in node.parents]
    if isinstance(node.op, Sum):
        lows, highs = zip(*given, strict=True)
        return node.op.forward(*lows), node.op.forward(*highs)
    ((low, high),) = given
    if isinstance(node.op, NONLINEAR):
        return node.op.range(low, high)
    middle, radius = node.op.forward((low + high) / 2), node.op.spread((high - low) / 2)
    return middle - radius, middle + radius


def _refined(found: Bounds, number: int, refine: bool, chunk: int) -> Interval:
    low, high = found.intervals[number]
    if not depends_on_curves(found.nodes, number):
        if found.region.norm == "linf" and _mixing(found.nodes, number) <= 1:
            return low, high  # intervals are exact
        return _by_norms(found, number, chunk)
    if not refine:
        return low, high
    readers = [n.op for n in found.nodes if number in n.parents]
    readers = [op for op in readers if isinstance(op, NONLINEAR)]
    wanted = torch.stack([undecided(op, low, high) for op in readers]).any(0)
    wanted |= (low < high) & (not found.region.cut)
    return _tightened(found, number, wanted, chunk)


def _tightened(found: Bounds, number: int, wanted: Tensor, chunk: int) -> Interval:
    """Bound the wanted results [N, ...] of an operation by linear functions."""
    local = is_local(found.nodes, _ancestors(found.nodes, number))
    least = _local_bounds if local else _whole_bounds
    low, high = found.intervals[number]
    lows, highs = low.clone(), high.clone()
    for where, below, above in least(found, number, wanted, chunk or _fitting(found)):
        if found.region.cut:
            below, above = torch.maximum(lows[where], below), torch.minimum(highs[where], above)
        lows[where], highs[where] = below, torch.maximum(above, below)
    return lows, highs


def _whole_bounds(found: Bounds, number: int, wanted: Tensor, size: int):
    """Give places, lower and upper bounds, with coefficients of whole layers."""
    places = wanted.nonzero()
    for part in _parts(len(places), size, places.device):
        where, rows = (
            places[part].unbind(1),
            found.region.images.new_zeros(len(part), *wanted.shape[1:]),
        )
        rows[(torch.arange(len(part), device=rows.device), *where[1:])] = 1
        both = found.least(torch.cat([rows, -rows]), where[0].repeat(2), number)
        below, above = both.split(len(part))
        yield where, below, -above


def _local_bounds(found: Bounds, number: int, wanted: Tensor, size: int):
    """Give places, lower and upper bounds, with coefficients of windows; all channels together."""
    for down, across in wanted.flatten(0, 1).any(0).nonzero().tolist():
        owner, channel = wanted[:, :, down, across].nonzero(as_tuple=True)
        for part in _parts(len(owner), size, owner.device):
            who, which = owner[part], channel[part]
            rows = torch.eye(wanted.shape[1], dtype=found.region.images.dtype, device=who.device)[
                which
            ]
            both = least_at(
                found.nodes,
                found.lines,
                found.region,
                number,
                torch.cat([rows, -rows]),
                who.repeat(2),
                (down, across),
            )
            below, above = both.split(len(part))
            yield (
                (who, which, torch.full_like(who, down), torch.full_like(who, across)),
                below,
                -above,
            )


def _parts(count: int, size: int, device) -> tuple[Tensor, ...]:
    return torch.arange(count, device=device).split(size) if count else ()


def _by_norms(found: Bounds, number: int, chunk: int) -> Interval:
    """Bound results that are affine in the image, by the dual norm of each one's coefficients."""
    nodes, region = found.nodes, found.region
    shape, like = nodes[number].shape, region.images
    count = int(torch.tensor(shape).prod())
    lengths = []
    for part in _parts(count, chunk or _fitting(found), like.device):
        rows = torch.nn.functional.one_hot(part, count).to(like.dtype).view(len(part), *shape)
        for place in _chain(nodes, number):
            rows = nodes[place].op.adjoint(rows)
        lengths.append(torch.linalg.vector_norm(rows.flatten(1), DUAL[region.norm], dim=1))
    middle = region.images
    for place in reversed(_chain(nodes, number)):
        middle = nodes[place].op.forward(middle)
    reach = (region.eps * WIDER).view(-1, *[1] * len(shape)) * torch.cat(lengths).view(shape)
    low, high = found.intervals[number]
    return torch.maximum(low, middle - reach), torch.minimum(high, middle + reach)


def _chain(nodes: list[Node], number: int) -> list[int]:
    """Give the operations from one back to the image, where each has one parent."""
    chain = []
    while number:
        chain.append(number)
        (number,) = nodes[number].parents
    return chain


def _ancestors(nodes: list[Node], number: int) -> set[int]:
    seen, todo = set(), [number]
    while todo:
        here = todo.pop()
        if here not in seen:
            seen.add(here)
            todo += nodes[here].parents
    return seen


def depends_on_curves(nodes: list[Node], number: int) -> bool:
    """Tell whether an operation's results are more than one affine chain of the image."""
    return any(isinstance(nodes[n].op, (*NONLINEAR, Sum)) for n in _ancestors(nodes, number))


def _mixing(nodes: list[Node], number: int) -> int:
    """Count the operations on the way from the image that sum several values."""
    names = [type(nodes[place].op).__name__ for place in _chain(nodes, number)]
    return sum(name in ("Convolution", "Dense", "Average") for name in names)


def _fitting(found: Bounds) -> int:
    """Give how many rows of coefficients may be held at once."""
    most = max(int(torch.tensor(node.shape).prod()) for node in found.nodes)
    return max(ELEMENTS // (4 * most), 1)
