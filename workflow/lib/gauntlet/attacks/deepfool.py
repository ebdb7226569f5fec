"""DeepFool: steps to the nearest boundary of the linearized model."""

import math

import torch
from torch import Tensor

from gauntlet.attacks.base.entry import attack
from gauntlet.attacks.base.gradients import length, unit
from gauntlet.attacks.base.losses import likely_targets, targeted_margin
from gauntlet.attacks.base.state import MinimumNormState
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import AttackResult, per_image

DUAL = {"l2": 2, "linf": 1}  # order of the norm that slopes are measured in
BEYOND = 1e-4  # added to the length of a step, as in the authors' code
HALVINGS = 10  # of the way from the image to its example: precise to 0.1 %
NORMS = ("linf", "l2")
TYPICAL = 4  # steps until most images are misclassified
FORWARDS = "1 + min(steps, TYPICAL) * (min(candidates, classes - 1) + 1) + HALVINGS"
BACKWARDS = "min(steps, TYPICAL) * min(candidates, classes - 1)"


@attack
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
    Departures: points are cut to [0, 1], and a step leaves out pixels that it would move out of
    that range; each example is moved back towards its image by a binary search with 10 halvings
    (for linf of the box around the image), so that its distance is tight.
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
    correct = state.active()
    if ranked.shape[1]:
        _iterate(state, ranked, steps, 1 + overshoot)
    _move_back(state, correct[state.success[correct]])
    return state.result()


def _iterate(state: MinimumNormState, ranked: Tensor, steps: int, stretch: float) -> None:
    """Take steps with unsolved images, as many at a time as fill a chunk of the model."""
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


def _step(state: MinimumNormState, rows: Tensor, points: Tensor, targets: Tensor) -> Tensor:
    """Give the shortest move [M, C, H, W] onto a linearized boundary to one of the targets."""
    count = targets.shape[1]
    labels, classes = state.labels[rows].repeat_interleave(count), targets.flatten()
    repeated = points.repeat_interleave(count, 0)
    gradient, values, _ = state.gradient(
        rows.repeat_interleave(count),
        repeated,
        lambda logits, places: targeted_margin(logits, labels[places], classes[places]),
    )
    slope = gradient.nan_to_num(0, 0, 0)
    slope = slope * torch.where(slope > 0, repeated < 1, repeated > 0)
    steep = length(slope, DUAL[state.norm]).clamp(min=torch.finfo(torch.float32).tiny)
    span, chosen = (values.abs() / steep).view(-1, count).min(1)
    chosen = chosen + torch.arange(len(rows), device=rows.device) * count
    widest = 1.0 if state.norm == "linf" else math.sqrt(points[0].numel())
    slope, span = slope[chosen], (span.float() + BEYOND).clamp(max=widest)
    direction = slope.sign() if state.norm == "linf" else unit(slope)
    return per_image(span) * direction


def _move_back(state: MinimumNormState, rows: Tensor) -> None:
    """Search the way from images to their examples for the nearest one, by halving it."""
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
