"""CROWN: linear bounds of the margins, propagated from the logits back to the image."""

import torch
from torch import Tensor

from gauntlet.certify._alpha import improved_margins
from gauntlet.certify._bisect import prove
from gauntlet.certify._bounds import Bounds, bound, confirmed
from gauntlet.certify._certificate import Certificate
from gauntlet.certify._margins import interval_margins, linear_margins
from gauntlet.certify._region import Region
from gauntlet.certify._relaxed import SLOPES
from gauntlet.core.errors import GauntletError

NORMS = ("linf", "l2", "l1")
DETERMINISTIC = True
FORWARDS = (  # bounds go back from each class and, inside, from a tenth of the values (or of half
    # of the images from all, with fast_lin)
    "2 + bounds * (4 + 2 * classes * (1 + 2 * steps if slopes == 'alpha' else 1)"
    " + ((0.6 if slopes == 'fast_lin' else 0.1) * values if intermediate == 'crown' else 0))"
)


def crown(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    norm: str = "linf",
    eps: float,
    slopes: str = "adaptive",
    intermediate: str = "crown",
    steps: int = 20,
    learning_rate: float = 0.1,
    radius: bool = False,
    ceiling: float | None = None,
    batch: int = 16,
    chunk: int = 0,
) -> Certificate:
    """Bound the margins by linear functions of the image over the region of an attack.

    Sources: Zhang et al. 2018, "Efficient Neural Network Robustness Certification with General
    Activation Functions"; slopes `fast_lin` as in Weng et al. 2018, the bounds of Wong & Kolter
    2018; `alpha` improves the lower slopes by `steps` of projected gradient (Xu et al. 2021, "Fast
    and Complete: Enabling Complete Verification with Massively Parallel Incomplete Verifiers").
    Shapes: images [N, C, H, W] float32 in [0, 1], labels [N] int64; `eps` and `ceiling` in the
    images' unit. Images that are certified with interval bounds of the inner layers need no more;
    for the others the undecided neurons are bounded by CROWN too (`intermediate: crown`), `chunk`
    of them at a time (0: as memory allows). Smooth activations get the lines of least area.
    Departures: regions are cut to [0, 1], inner bounds are intersected with intervals, interval
    margins count too. Fixed slopes can lose by tighter inner bounds: what `fast_lin` leaves over
    is bounded by the plain convex outer polytope, on the whole ball; the better margin counts.
    Raises Uncertifiable for a layer that it does not know, GauntletError for settings out of range.
    """
    _require(slopes, intermediate, steps, learning_rate)

    def margins(nodes, exact, area: Region, truth: Tensor) -> Tensor:
        found = _margins(confirmed(bound(nodes, area, slopes=slopes, refine=False), exact), truth)
        views = (area, area.whole()) if slopes == "fast_lin" else (area,)
        for view in views if intermediate == "crown" else ():
            left = (found.amin(1) <= 0).nonzero().squeeze(1)
            if len(left):
                tight = bound(nodes, view.select(left), slopes=slopes, refine=True, chunk=chunk)
                found[left] = found[left].maximum(_margins(confirmed(tight, exact), truth[left]))
        return found

    def _margins(bounds: Bounds, truth: Tensor) -> Tensor:
        plain = torch.maximum(linear_margins(bounds, truth), interval_margins(bounds, truth))
        alpha = (bounds, truth, plain, steps, learning_rate)
        return improved_margins(*alpha) if slopes == "alpha" else plain

    asked = {"norm": norm, "eps": eps, "radius": radius, "ceiling": ceiling, "batch": batch}
    return torch.no_grad()(prove)(model, images, labels, margins, **asked)


def _require(slopes: str, intermediate: str, steps: int, learning_rate: float) -> None:
    if slopes not in SLOPES:
        raise GauntletError(f"slopes is {slopes!r}; allowed are {', '.join(SLOPES)}.")
    if intermediate not in ("crown", "ibp"):
        raise GauntletError(f"intermediate is {intermediate!r}; allowed are crown, ibp.")
    if steps < 1 or not learning_rate > 0:
        raise GauntletError(
            f"steps is {steps} (1 or more) and learning_rate is {learning_rate} (above 0)."
        )
