"""Lower bounds of the margins between the label's logit and all others."""

import torch
from torch import Tensor

from gauntlet.certify._bounds import Bounds, depends_on_curves


def contrasts(labels: Tensor, classes: int, dtype: torch.dtype) -> Tensor:
    """Give, for each label, the rows that subtract every other class's logit: [N, K - 1, K]."""
    unit = torch.eye(classes, dtype=dtype, device=labels.device)
    every = unit[labels][:, None] - unit
    others = torch.arange(classes, device=labels.device) != labels[:, None]
    return every[others].view(len(labels), classes - 1, classes)


def linear_margins(bounds: Bounds, labels: Tensor) -> Tensor:
    """Bound the margins by linear functions of the image: [N, K - 1]."""
    (classes,) = bounds.nodes[-1].shape
    rows = contrasts(labels, classes, bounds.region.images.dtype)
    owner = torch.arange(len(labels), device=labels.device).repeat_interleave(classes - 1)
    return bounds.least(rows.flatten(0, 1), owner).view(len(labels), classes - 1)


def interval_margins(bounds: Bounds, labels: Tensor) -> Tensor:
    """Bound the margins by the intervals before the last layer: [N, K - 1].

    The last layer is merged with the difference of logits, which is tighter than its intervals; a
    model that is one affine map is bounded as such.
    """
    if not depends_on_curves(bounds.nodes, len(bounds.nodes) - 1):
        return linear_margins(bounds, labels)
    last, (classes,) = bounds.nodes[-1], bounds.nodes[-1].shape
    rows = contrasts(labels, classes, bounds.region.images.dtype).flatten(0, 1)
    if len(last.parents) != 1 or not hasattr(last.op, "adjoint"):
        low, high = bounds.intervals[-1]
        owner = torch.arange(len(labels), device=labels.device).repeat_interleave(classes - 1)
        found = (rows.clamp(min=0) * low[owner] + rows.clamp(max=0) * high[owner]).sum(1)
        return found.view(len(labels), classes - 1)
    low, high = bounds.intervals[last.parents[0]]
    before, constant = last.op.adjoint(rows), last.op.offset(rows)
    before = before.view(len(labels), classes - 1, -1)
    middle, radius = ((low + high) / 2).flatten(1), ((high - low) / 2).flatten(1)
    found = torch.einsum("nkd,nd->nk", before, middle) + constant.view(len(labels), -1)
    return found - torch.einsum("nkd,nd->nk", before.abs(), radius)
