"""Interval bound propagation."""

import torch
from torch import Tensor

from gauntlet.certify._bisect import prove
from gauntlet.certify._bounds import bound, confirmed
from gauntlet.certify._certificate import Certificate
from gauntlet.certify._margins import interval_margins
from gauntlet.certify._region import Region

NORMS = ("linf", "l2", "l1")
DETERMINISTIC = True
FORWARDS = "2 + 4 * bounds"  # of an image whose bounds are asked for so many times


def ibp(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    norm: str = "linf",
    eps: float,
    radius: bool = True,
    ceiling: float | None = None,
    batch: int = 64,
) -> Certificate:
    """Bound every layer by an interval per value, and the margins by the last one.

    Source: Gowal et al. 2018, "On the Effectiveness of Interval Bound Propagation for Training
    Verifiably Robust Models". Shapes: images [N, C, H, W] float32 in [0, 1], labels [N] int64;
    `eps` and `ceiling` in the images' unit. Cheap, and weak on networks that were not trained for
    it. For l2 and l1 the first layer is bounded by the dual norm. Raises Uncertifiable for a
    layer that it does not know, GauntletError for settings out of range.
    """

    def margins(nodes, exact, area: Region, truth: Tensor) -> Tensor:
        with torch.no_grad():
            return interval_margins(confirmed(bound(nodes, area, refine=False), exact), truth)

    asked = {"norm": norm, "eps": eps, "radius": radius, "ceiling": ceiling, "batch": batch}
    return prove(model, images, labels, margins, **asked)
