"""Linear bounds of values that depend on a small part of the image.

The coefficients of one place of a feature map reach only a window of every layer before it; only
that window is held. For convolutional networks this is many times less work than whole layers.
"""

from dataclasses import dataclass, replace

from torch import Tensor
from torch.nn import functional as F

from gauntlet.certify._curves import Curve
from gauntlet.certify._ops import Activation, Convolution, Input, MaxPool, Scale, Sum
from gauntlet.certify._region import Region
from gauntlet.certify._relaxed import Lines, Windows
from gauntlet.certify._symbols import Node


@dataclass
class Patch:
    """Coefficients [M, C, h, w] of a window of a layer whose corner lies at (top, left)."""

    rows: Tensor
    top: int
    left: int

    def cut(self, values: Tensor) -> Tensor:
        """Give the same window of values [N, C, H, W]."""
        height, width = self.rows.shape[2:]
        return values[:, :, self.top : self.top + height, self.left : self.left + width]

    def clipped(self, height: int, width: int) -> "Patch":
        """Leave out what lies beyond the layer: zeros around it have no say."""
        up, down = max(-self.top, 0), max(height - self.top, 0)
        near, far = max(-self.left, 0), max(width - self.left, 0)
        top, left = min(self.top + up, height), min(self.left + near, width)
        return Patch(self.rows[:, :, up:down, near:far], top, left)

    def plus(self, other: "Patch") -> "Patch":
        """Add coefficients of another window of the same layer."""
        top, left = min(self.top, other.top), min(self.left, other.left)
        ends = [(p.top + p.rows.shape[2], p.left + p.rows.shape[3]) for p in (self, other)]
        bottom, right = (max(pair) for pair in zip(*ends, strict=True))
        whole = self.rows.new_zeros(*self.rows.shape[:2], bottom - top, right - left)
        for patch in (self, other):
            Patch(whole, top, left)._within(patch).add_(patch.rows)
        return Patch(whole, top, left)

    def _within(self, other: "Patch") -> Tensor:
        down, across = other.top - self.top, other.left - self.left
        height, width = other.rows.shape[2:]
        return self.rows[:, :, down : down + height, across : across + width]


def is_local(nodes: list[Node], places: set[int]) -> bool:
    """Tell whether the operations at the places all work on windows."""
    return all(_works_on_windows(nodes[place]) for place in places)


def _works_on_windows(node: Node) -> bool:
    if len(node.shape) != 3:
        return False
    if isinstance(node.op, Scale):
        return all(value.dim() == 0 or value.shape[-2:] == (1, 1) for value in node.op.constants())
    return isinstance(node.op, (Input, Convolution, Activation, Curve, MaxPool, Sum))


def least_at(
    nodes: list[Node], lines: dict, region: Region, number: int, rows: Tensor, owner, place
) -> Tensor:
    """Give lower bounds [M] of rows [M, C] times the channels at one place (y, x) of a layer.

    Row m speaks of the region's example `owner[m]`.
    """
    pending = {number: Patch(rows[:, :, None, None], *place)}
    constant = rows.new_zeros(len(rows))
    for here in range(number, 0, -1):
        patch = pending.pop(here, None)
        if patch is None:
            continue
        before, part = _before(nodes, lines, here, patch, owner)
        constant = constant + part
        if not before.rows.numel():  # a window wholly beyond the values depends on none of them
            continue
        for parent in nodes[here].parents:
            pending[parent] = pending[parent].plus(before) if parent in pending else before
    return constant + _least(region, pending[0], owner) if 0 in pending else constant


def _before(nodes: list[Node], lines: dict, here: int, patch: Patch, owner):
    """Give the patch before an operation, and what its constant part makes [M]."""
    op, parent = nodes[here].op, nodes[here].parents[0]
    if isinstance(op, Sum):
        return patch, 0.0
    if isinstance(op, Scale):
        return Patch(op.adjoint(patch.rows), patch.top, patch.left), op.offset(patch.rows)
    if isinstance(op, Convolution):
        given, part = _before_convolution(op, patch), op.offset(patch.rows)
    elif isinstance(op, MaxPool):
        given, part = _before_pool(op, lines[here], nodes[here].shape, patch, owner)
    else:
        return _before_activation(lines[here], patch, owner)
    return given.clipped(*nodes[parent].shape[1:]), part


def _before_convolution(op: Convolution, patch: Patch) -> Patch:
    stride, padding, dilation, groups = op.grid
    rows = F.conv_transpose2d(patch.rows, op.weights()[0], None, stride, 0, 0, groups, dilation)
    return Patch(rows, patch.top * stride[0] - padding[0], patch.left * stride[1] - padding[1])


def _before_activation(lines: Lines, patch: Patch, owner) -> tuple[Patch, Tensor]:
    rows, part = lines.map(patch.cut).back(patch.rows, owner)
    return Patch(rows, patch.top, patch.left), part


def _before_pool(op: MaxPool, lines: Windows, shape, patch: Patch, owner) -> tuple[Patch, Tensor]:
    def cut(values: Tensor) -> Tensor:
        return patch.cut(values.reshape(len(values), -1, *shape[1:])).flatten(2)

    count, channels, size = lines.low.shape[:3]
    low, high = (cut(v).view(count, channels, size, -1) for v in (lines.low, lines.high))
    flat = patch.rows.flatten(2)
    above, below = flat.clamp(min=0)[:, :, None], flat.clamp(max=0)
    spread = above * low[owner] + below[:, :, None] * high[owner]
    part = (below * cut(lines.lift)[owner]).flatten(1).sum(1)
    extent = [
        (n - 1) * step + wide * (k - 1) + 1
        for n, step, wide, k in zip(
            patch.rows.shape[2:], op.stride, op.dilation, op.kernel, strict=True
        )
    ]
    merged = spread.reshape(len(spread), channels * size, -1)
    rows = F.fold(merged, extent, op.kernel, op.dilation, 0, op.stride)
    (down, across), (up, near) = op.stride, op.padding
    return Patch(rows, patch.top * down - up, patch.left * across - near), part


def _least(region: Region, patch: Patch, owner: Tensor) -> Tensor:
    part = replace(region, images=patch.cut(region.images))
    return part.select(owner).least(patch.rows)
