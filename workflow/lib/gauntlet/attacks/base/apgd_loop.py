"""The loop of Auto-PGD: momentum, and a step that halves itself where progress stops.

Source: Croce & Hein 2020, "Reliable Evaluation of Adversarial Robustness with an Ensemble of
Diverse Parameter-free Attacks"; for l1, Croce & Hein 2021, "Mind the Box: l1-APGD for Sparse
Adversarial Attacks on Image Classifiers".
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from gauntlet.attacks.base.norm_balls import Ball
from gauntlet.attacks.base.state import AttackState
from gauntlet.core.threat_models import per_image

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
class Candidates:
    """State of M candidates; `aim` [M] is what their objective asks beside the label (a target)."""

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

    def select(self, keep: Tensor) -> "Candidates":
        """Keep the named candidates only."""
        return Candidates(*(getattr(self, field.name)[keep] for field in fields(self)))


def auto_pgd(
    state: AttackState,
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

    Candidates whose image has fallen leave, unless `drop` is false. Gives the points of highest
    objective of the candidates that are left.
    """
    candidates = _begin(state, area, rows, start, aim, loss)
    sparse = area.norm == "l1"
    wait = max(int((SPARSE_CHECK if sparse else FIRST) * steps), 1)
    since = 0
    for number in range(steps):
        if drop:
            candidates, area = _survivors(state, candidates, area)
            if len(candidates.rows) == 0:
                break
        moved = _sparse_step(candidates, area) if sparse else _step(candidates, area, number == 0)
        _arrive(state, candidates, moved, loss, number + 1 == steps)
        since += 1
        if since == wait:
            _check_sparse(candidates, area) if sparse else _check(candidates, wait)
            wait = wait if sparse else max(wait - max(int(SHRINK * steps), 1), _least(steps))
            since = 0
    return candidates.best


def _least(steps: int) -> int:
    return max(int(LEAST * steps), 1)


def _begin(state: AttackState, area: Ball, rows, start, aim, loss: Loss) -> Candidates:
    gradient, values, _ = state.gradient(rows, start, _objective(state, rows, aim, loss))
    length = area.eps * (1.0 if area.norm == "l1" else 2.0)
    return Candidates(
        *(rows, aim, area.images, start, start, start.clone(), gradient, gradient.clone()),
        *(values, values.clone(), values.clone(), torch.zeros_like(values)),
        step=torch.zeros_like(values) + length,
        reduced=torch.ones_like(rows, dtype=torch.bool),
        share=torch.full_like(values, SPARSE_FIRST),
        active=torch.ones_like(values),
    )


def _objective(state: AttackState, rows: Tensor, aim: Tensor, loss: Loss):
    labels = state.labels[rows]
    return lambda logits, places: loss(logits, labels[places], aim[places])


def _survivors(state: AttackState, candidates: Candidates, area: Ball) -> tuple[Candidates, Ball]:
    stay = (~state.success[candidates.rows]).nonzero().squeeze(1)
    if len(stay) == len(candidates.rows):
        return candidates, area
    return candidates.select(stay), area.select(stay)


def _step(candidates: Candidates, area: Ball, first: bool) -> Tensor:
    now = candidates.now
    ahead = area.ascend(now, candidates.gradient, candidates.step)
    if first:
        return ahead
    drift = (1 - MOMENTUM) * (now - candidates.before)
    return area.project(now + MOMENTUM * (ahead - now) + drift)


def _sparse_step(candidates: Candidates, area: Ball) -> Tensor:
    """Move the steepest coordinates by equal parts of the step; there is no momentum."""
    slope = candidates.gradient.flatten(1)
    counts = (candidates.share * slope.shape[1]).long().clamp(min=1, max=slope.shape[1])
    ordered = slope.abs().sort(1, descending=True).values
    floor = ordered.gather(1, counts[:, None] - 1)
    steep = slope.sign() * (slope.abs() >= floor)
    part = (steep / steep.abs().sum(1, keepdim=True).clamp(min=1)).view_as(candidates.now)
    return area.project(candidates.now + per_image(candidates.step) * part)


def _arrive(
    state: AttackState, candidates: Candidates, moved: Tensor, loss: Loss, last: bool
) -> None:
    """Look at the new points; the last of them need no gradient."""
    objective = _objective(state, candidates.rows, candidates.aim, loss)
    candidates.before, candidates.now = candidates.now, moved
    if last:
        values = _final_values(state, candidates, moved, objective)
    else:
        candidates.gradient, values, _ = state.gradient(candidates.rows, moved, objective)
    candidates.rises += values > candidates.last
    candidates.last = values
    better = values > candidates.value
    candidates.value = torch.where(better, values, candidates.value)
    keep = per_image(better)
    candidates.best = torch.where(keep, moved, candidates.best)
    candidates.best_gradient = torch.where(keep, candidates.gradient, candidates.best_gradient)


def _final_values(state: AttackState, candidates: Candidates, moved: Tensor, objective) -> Tensor:
    logits, _ = state.judge(candidates.rows, moved, objective)
    return objective(logits, torch.arange(len(moved), device=moved.device))


def _check(candidates: Candidates, taken: int) -> None:
    """Halve the step, and go back to the best point, where the loss no longer rises."""
    stuck = ~candidates.reduced & (candidates.checked >= candidates.value)
    stuck |= candidates.rises <= RISING * taken
    candidates.reduced, candidates.checked = stuck, candidates.value.clone()
    candidates.step = torch.where(stuck, candidates.step / 2, candidates.step)
    candidates.rises = torch.zeros_like(candidates.rises)
    _go_back(candidates, stuck)


def _check_sparse(candidates: Candidates, area: Ball) -> None:
    """Let fewer coordinates move where the best point is sparse; shorten the step elsewhere."""
    changed = (candidates.best != candidates.base).flatten(1).float().mean(1)
    fewer = changed < SPARSE_STEADY * candidates.active
    shorter = (candidates.step / SPARSE_CUT).clamp(min=area.eps / SPARSE_LEAST)
    candidates.step = torch.where(fewer, torch.zeros_like(shorter) + area.eps, shorter)
    candidates.share, candidates.active = changed / SPARSE_CUT, changed
    _go_back(candidates, fewer)


def _go_back(candidates: Candidates, chosen: Tensor) -> None:
    keep = per_image(chosen)
    candidates.now = torch.where(keep, candidates.best, candidates.now)
    candidates.gradient = torch.where(keep, candidates.best_gradient, candidates.gradient)
