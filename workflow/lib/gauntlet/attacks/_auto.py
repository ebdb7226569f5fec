"""The loop of Auto-PGD: momentum, and a step that halves itself where progress stops.

Source: Croce & Hein 2020, "Reliable Evaluation of Adversarial Robustness with an Ensemble of
Diverse Parameter-free Attacks"; for l1, Croce & Hein 2021, "Mind the Box: l1-APGD for Sparse
Adversarial Attacks on Image Classifiers".
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from gauntlet.attacks._hunt import Hunt
from gauntlet.balls import Ball
from gauntlet.threat import per_image

MOMENTUM = 0.75  # share of the new step; the rest goes on as before
RISING = 0.75  # the share of steps that must raise the loss, else the step is halved
FIRST, SHRINK, LEAST = (
    0.22,
    0.03,
    0.06,
)  # of all steps: until the first check, less each time, least
SPARSE_FIRST, SPARSE_CHECK = 0.2, 0.04  # l1: share of coordinates that move; of steps to a check
SPARSE_STEADY, SPARSE_CUT, SPARSE_LEAST = 0.95, 1.5, 10
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass
class Climbers:
    """State of M climbers; `aim` [M] is what their objective asks beside the label (a target)."""

    rows: Tensor
    aim: Tensor
    base: Tensor
    now: Tensor
    before: Tensor
    best: Tensor
    gradient: Tensor
    best_gradient: Tensor
    value: Tensor  # objective at `best`
    last: Tensor  # objective at `now`
    checked: Tensor  # `value` at the last check
    rises: Tensor  # steps since the last check that raised the objective
    step: Tensor
    reduced: Tensor
    share: Tensor  # l1: share of coordinates that move
    active: Tensor  # l1: share of coordinates that had moved at the last check

    def select(self, keep: Tensor) -> "Climbers":
        """Keep the named climbers only."""
        return Climbers(*(getattr(self, field.name)[keep] for field in fields(self)))


def auto_climb(
    hunt: Hunt,
    area: Ball,
    rows: Tensor,
    start: Tensor,
    aim: Tensor,
    *,
    steps: int,
    loss: Loss,
    drop: bool = True,
) -> Tensor:
    """Climb `loss(logits, labels, aim)` from `start` [M, C, H, W]; the area is that of `rows` [M].

    Climbers whose image has fallen leave, unless `drop` is false. Gives the points of highest
    objective of the climbers that are left.
    """
    climbers = _begin(hunt, area, rows, start, aim, loss)
    sparse = area.norm == "l1"
    wait = max(int((SPARSE_CHECK if sparse else FIRST) * steps), 1)
    since = 0
    for number in range(steps):
        if drop:
            climbers, area = _survivors(hunt, climbers, area)
            if len(climbers.rows) == 0:
                break
        moved = _sparse_step(climbers, area) if sparse else _step(climbers, area, number == 0)
        _arrive(hunt, climbers, moved, loss, number + 1 == steps)
        since += 1
        if since == wait:
            _check_sparse(climbers, area) if sparse else _check(climbers, wait)
            wait = wait if sparse else max(wait - max(int(SHRINK * steps), 1), _least(steps))
            since = 0
    return climbers.best


def _least(steps: int) -> int:
    return max(int(LEAST * steps), 1)


def _begin(hunt: Hunt, area: Ball, rows, start, aim, loss: Loss) -> Climbers:
    gradient, values, _ = hunt.climb(rows, start, _objective(hunt, rows, aim, loss))
    length = area.eps * (1.0 if area.norm == "l1" else 2.0)
    return Climbers(
        *(rows, aim, area.images, start, start, start.clone(), gradient, gradient.clone()),
        *(values, values.clone(), values.clone(), torch.zeros_like(values)),
        step=torch.zeros_like(values) + length,
        reduced=torch.ones_like(rows, dtype=torch.bool),
        share=torch.full_like(values, SPARSE_FIRST),
        active=torch.ones_like(values),
    )


def _objective(hunt: Hunt, rows: Tensor, aim: Tensor, loss: Loss):
    labels = hunt.labels[rows]
    return lambda logits, places: loss(logits, labels[places], aim[places])


def _survivors(hunt: Hunt, climbers: Climbers, area: Ball) -> tuple[Climbers, Ball]:
    stay = (~hunt.fell[climbers.rows]).nonzero().squeeze(1)
    if len(stay) == len(climbers.rows):
        return climbers, area
    return climbers.select(stay), area.select(stay)


def _step(climbers: Climbers, area: Ball, first: bool) -> Tensor:
    now = climbers.now
    ahead = area.ascend(now, climbers.gradient, climbers.step)
    if first:
        return ahead
    drift = (1 - MOMENTUM) * (now - climbers.before)
    return area.project(now + MOMENTUM * (ahead - now) + drift)


def _sparse_step(climbers: Climbers, area: Ball) -> Tensor:
    """Move the steepest coordinates by equal parts of the step; there is no momentum."""
    slope = climbers.gradient.flatten(1)
    counts = (climbers.share * slope.shape[1]).long().clamp(min=1, max=slope.shape[1])
    ordered = slope.abs().sort(1, descending=True).values
    floor = ordered.gather(1, counts[:, None] - 1)
    steep = slope.sign() * (slope.abs() >= floor)
    part = (steep / steep.abs().sum(1, keepdim=True).clamp(min=1)).view_as(climbers.now)
    return area.project(climbers.now + per_image(climbers.step) * part)


def _arrive(hunt: Hunt, climbers: Climbers, moved: Tensor, loss: Loss, last: bool) -> None:
    """Look at the new points; the last of them need no gradient."""
    objective = _objective(hunt, climbers.rows, climbers.aim, loss)
    climbers.before, climbers.now = climbers.now, moved
    if last:
        values = _final_values(hunt, climbers, moved, objective)
    else:
        climbers.gradient, values, _ = hunt.climb(climbers.rows, moved, objective)
    climbers.rises += values > climbers.last
    climbers.last = values
    better = values > climbers.value
    climbers.value = torch.where(better, values, climbers.value)
    keep = per_image(better)
    climbers.best = torch.where(keep, moved, climbers.best)
    climbers.best_gradient = torch.where(keep, climbers.gradient, climbers.best_gradient)


def _final_values(hunt: Hunt, climbers: Climbers, moved: Tensor, objective) -> Tensor:
    logits, _ = hunt.judge(climbers.rows, moved, objective)
    return objective(logits, torch.arange(len(moved), device=moved.device))


def _check(climbers: Climbers, taken: int) -> None:
    """Halve the step, and go back to the best point, where the loss no longer rises."""
    stuck = ~climbers.reduced & (climbers.checked >= climbers.value)
    stuck |= climbers.rises <= RISING * taken
    climbers.reduced, climbers.checked = stuck, climbers.value.clone()
    climbers.step = torch.where(stuck, climbers.step / 2, climbers.step)
    climbers.rises = torch.zeros_like(climbers.rises)
    _go_back(climbers, stuck)


def _check_sparse(climbers: Climbers, area: Ball) -> None:
    """Let fewer coordinates move where the best point is sparse; shorten the step elsewhere."""
    changed = (climbers.best != climbers.base).flatten(1).float().mean(1)
    fewer = changed < SPARSE_STEADY * climbers.active
    shorter = (climbers.step / SPARSE_CUT).clamp(min=area.eps / SPARSE_LEAST)
    climbers.step = torch.where(fewer, torch.zeros_like(shorter) + area.eps, shorter)
    climbers.share, climbers.active = changed / SPARSE_CUT, changed
    _go_back(climbers, fewer)


def _go_back(climbers: Climbers, chosen: Tensor) -> None:
    keep = per_image(chosen)
    climbers.now = torch.where(keep, climbers.best, climbers.now)
    climbers.gradient = torch.where(keep, climbers.best_gradient, climbers.gradient)
