"""DeepFool: steps to the nearest boundary of the linearized model."""

import math

import torch
from torch import Tensor

from gauntlet.attacks.base.losses import likely_targets, targeted_margin
from gauntlet.attacks.base.state import MinimumNormState
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import AttackResult, per_image

DUAL = {"l2": 2, "linf": 1}  # order of the norm that slopes are measured in
BEYOND = 1e-4  # what a step adds to its length, as the authors' code does
HALVINGS = 10  # of the way from the image to its example: the last share is below 0.1 %
NORMS = ("linf", "l2")
TYPICAL = 4  # steps until most images are misclassified
FORWARDS = "1 + min(steps, TYPICAL) * (min(candidates, classes - 1) + 1) + HALVINGS"
BACKWARDS = "min(steps, TYPICAL) * min(candidates, classes - 1)"


def deepfool(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    streams: Streams,
    norm: str,
    steps: int = 50,
    overshoot: float = 0.02,
    candidates: int = 10,
) -> AttackResult:
    """Step to the nearest boundary of the linearized model until the image is misclassified.

    Source: Moosavi-Dezfooli et al. 2016, "DeepFool: a simple and accurate method to fool deep
    neural networks". Shapes: images [N, C, H, W] float32 in [0, 1], labels [N] int64; norms l2 and
    linf. The boundaries are those to the `candidates` other classes of highest clean logits; the
    sum of the steps is lengthened by `overshoot`. Nothing is random.
    Departures: points are cut to [0, 1], and pixels that are at its end do not count in a step that
    would push them out; what is found is pulled towards its image by 10 halvings of the way (for
    linf of the box around the image), so that its distance is tight.
    Raises ValueError for another norm, steps or candidates below 1, or a negative overshoot.
    """
    if norm not in DUAL:
        raise ValueError(f"norm is {norm!r}; allowed are {', '.join(DUAL)}")
    if min(steps, candidates) < 1 or not overshoot >= 0:
        raise ValueError(
            f"steps is {steps} and candidates is {candidates} (both 1 or more), and overshoot is "
            f"{overshoot} (0 or more)"
        )
    state = MinimumNormState(model, images, labels, norm)
    ranked = likely_targets(state, candidates)
    walkers = state.active()
    if ranked.shape[1]:
        _walk(state, ranked, steps, 1 + overshoot)
    _pull(state, walkers[state.success[walkers]])
    return state.result()


def _walk(state: MinimumNormState, ranked: Tensor, steps: int, stretch: float) -> None:
    """Take steps with the images that stand, as many at a time as fill a chunk of the model."""
    total, together = torch.zeros_like(state.images), max(1, state.batched.batch // ranked.shape[1])
    for _ in range(steps):
        rows = state.active()
        if len(rows) == 0:
            break
        for part in rows.split(together):
            points = (state.images[part] + stretch * total[part]).clamp_(0, 1)
            moved = total[part] + _step(state, part, points, ranked[part])
            total[part] = (state.images[part] + moved).clamp_(0, 1) - state.images[part]
        state.judge(rows, (state.images[rows] + stretch * total[rows]).clamp_(0, 1))


def _step(state: MinimumNormState, rows: Tensor, points: Tensor, aims: Tensor) -> Tensor:
    """Give the shortest of the moves [M, C, H, W] onto the linearized boundaries to the aims."""
    count = aims.shape[1]
    labels, towards = state.labels[rows].repeat_interleave(count), aims.flatten()
    many = points.repeat_interleave(count, 0)
    gradient, values, _ = state.gradient(
        rows.repeat_interleave(count),
        many,
        lambda logits, places: targeted_margin(logits, labels[places], towards[places]),
    )
    slope = gradient.nan_to_num(0, 0, 0)
    slope = slope * torch.where(slope > 0, many < 1, many > 0)
    steep = torch.linalg.vector_norm(slope.flatten(1), DUAL[state.norm], dim=1)
    steep = steep.clamp(min=torch.finfo(slope.dtype).tiny)
    length, chosen = (values.abs() / steep).view(-1, count).min(1)
    chosen = chosen + torch.arange(len(rows), device=rows.device) * count
    widest = 1.0 if state.norm == "linf" else math.sqrt(points[0].numel())
    slope, length = slope[chosen], (length + BEYOND).clamp(max=widest)
    unit = slope.sign() if state.norm == "linf" else slope / per_image(steep[chosen])
    return per_image(length) * unit


def _pull(state: MinimumNormState, rows: Tensor) -> None:
    """Halve the way from images to their examples, on the side that is misclassified."""
    if len(rows) == 0:
        return
    images, whole = state.images[rows], state.distance()[rows]
    offset, low, high = state.best[rows] - images, torch.zeros_like(whole), whole
    for _ in range(HALVINGS):
        span = (low + high) / 2
        if state.norm == "linf":
            move = offset.clamp(-per_image(span), per_image(span))
        else:
            move = offset * per_image(span / whole)
        _, missed = state.judge(rows, (images + move).clamp_(0, 1))
        low, high = torch.where(missed, low, span), torch.where(missed, span, high)
