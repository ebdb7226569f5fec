"""The loop of Auto-PGD: momentum, and a step size that is halved where progress stops.

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

MOMENTUM = 0.75  # share of the new step; the rest continues the previous move
INCREASES = 0.75  # the share of steps that must raise the loss, else the step size is halved
# Shares of all steps: until the first check, how much less until each next one, and at least.
FIRST_CHECK, CHECK_DECREASE, LEAST_CHECK = 0.22, 0.03, 0.06
L1_FIRST_SHARE, L1_CHECK = 0.2, 0.04  # share of coordinates that move; share of steps to a check
L1_SPARSER = 0.95  # the best point became sparser if its share of changed pixels fell below this
L1_SHRINK, L1_LEAST = 1.5, 10  # a step is divided by the first; it is at least eps by the second
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass
class Candidates:
    """State of M candidates: points [M, C, H, W] and one value each [M]."""

    rows: Tensor  # the image that each candidate belongs to
    targets: Tensor  # what the objective needs beside the label (a class)
    images: Tensor
    current: Tensor  # points
    previous: Tensor
    best: Tensor  # the points of highest objective so far
    gradient: Tensor  # at `current`
    best_gradient: Tensor  # at `best`
    value: Tensor  # objective at `current`
    best_value: Tensor
    checked_value: Tensor  # `best_value` at the last check
    increases: Tensor  # steps since the last check that raised the objective
    step: Tensor
    halved: Tensor  # whether the last check halved the step
    moving: Tensor  # l1: share of coordinates that move in a step
    changed: Tensor  # l1: share of coordinates that differed from the image at the last check

    @classmethod
    def at(cls, rows, targets, area: Ball, start, gradient, values) -> "Candidates":
        """Begin at `start` [M, C, H, W] with its gradient and objective [M]."""
        length = area.eps * (1.0 if area.norm == "l1" else 2.0)
        return cls(
            rows=rows,
            targets=targets,
            images=area.images,
            current=start,
            previous=start,
            best=start.clone(),
            gradient=gradient,
            best_gradient=gradient.clone(),
            value=values,
            best_value=values.clone(),
            checked_value=values.clone(),
            increases=torch.zeros_like(values),
            step=torch.zeros_like(values) + length,
            halved=torch.ones_like(rows, dtype=torch.bool),
            moving=torch.full_like(values, L1_FIRST_SHARE),
            changed=torch.ones_like(values),
        )

    def select(self, keep: Tensor) -> "Candidates":
        """Keep the named candidates only."""
        return Candidates(**{f.name: getattr(self, f.name)[keep] for f in fields(self)})


def auto_pgd(
    state: AttackState,
    area: Ball,
    rows: Tensor,
    start: Tensor,
    targets: Tensor,
    *,
    steps: int,
    loss: Loss,
    drop: bool = True,
) -> Tensor:
    """Raise `loss(logits, labels, targets)` from `start` [M, C, H, W]; `area` is that of `rows`.

    Candidates whose image is misclassified are dropped, unless `drop` is false. Gives the points of
    highest objective of the candidates that are left.
    """
    gradient, values, _ = state.gradient(rows, start, _objective(state, rows, targets, loss))
    candidates = Candidates.at(rows, targets, area, start, gradient, values)
    l1 = area.norm == "l1"
    wait = max(int((L1_CHECK if l1 else FIRST_CHECK) * steps), 1)
    since_check = 0
    for number in range(steps):
        if drop:
            candidates, area = _unsolved(state, candidates, area)
            if len(candidates.rows) == 0:
                break
        points = _l1_step(candidates, area) if l1 else _step(candidates, area, number == 0)
        _move(state, candidates, points, loss, last=number + 1 == steps)
        since_check += 1
        if since_check == wait:
            _check_l1(candidates, area) if l1 else _check(candidates, wait)
            wait = wait if l1 else _next_wait(wait, steps)
            since_check = 0
    return candidates.best


def _next_wait(wait: int, steps: int) -> int:
    shorter = wait - max(int(CHECK_DECREASE * steps), 1)
    return max(shorter, max(int(LEAST_CHECK * steps), 1))


def _objective(state: AttackState, rows: Tensor, targets: Tensor, loss: Loss):
    labels = state.labels[rows]
    return lambda logits, places: loss(logits, labels[places], targets[places])


def _unsolved(state: AttackState, candidates: Candidates, area: Ball) -> tuple[Candidates, Ball]:
    """Drop candidates whose image is misclassified already."""
    stay = (~state.success[candidates.rows]).nonzero().squeeze(1)
    if len(stay) == len(candidates.rows):
        return candidates, area
    return candidates.select(stay), area.select(stay)


def _step(candidates: Candidates, area: Ball, first: bool) -> Tensor:
    """Give the next points: a gradient step, mixed with the previous move."""
    current = candidates.current
    ahead = area.ascend(current, candidates.gradient, candidates.step)
    if first:
        return ahead
    inertia = (1 - MOMENTUM) * (current - candidates.previous)
    return area.project(current + MOMENTUM * (ahead - current) + inertia)


def _l1_step(candidates: Candidates, area: Ball) -> Tensor:
    """Move the coordinates of steepest slope by equal parts of the step, without momentum."""
    slope = candidates.gradient.flatten(1)  # [M, D]
    counts = (candidates.moving * slope.shape[1]).long().clamp(min=1, max=slope.shape[1])
    ordered = slope.abs().sort(1, descending=True).values
    smallest = ordered.gather(1, counts[:, None] - 1)  # [M, 1]
    steep = slope.sign() * (slope.abs() >= smallest)
    part = (steep / steep.abs().sum(1, keepdim=True).clamp(min=1)).view_as(candidates.current)
    return area.project(candidates.current + per_image(candidates.step) * part)


def _move(state: AttackState, candidates: Candidates, points: Tensor, loss: Loss, last: bool):
    """Evaluate the new points and update the best; the last points need no gradient."""
    objective = _objective(state, candidates.rows, candidates.targets, loss)
    candidates.previous, candidates.current = candidates.current, points
    if last:
        logits, _ = state.judge(candidates.rows, points, objective)
        values = objective(logits, torch.arange(len(points), device=points.device))
    else:
        candidates.gradient, values, _ = state.gradient(candidates.rows, points, objective)
    candidates.increases += values > candidates.value
    candidates.value = values
    better = values > candidates.best_value
    candidates.best_value = torch.where(better, values, candidates.best_value)
    mask = per_image(better)
    candidates.best = torch.where(mask, points, candidates.best)
    candidates.best_gradient = torch.where(mask, candidates.gradient, candidates.best_gradient)


def _check(candidates: Candidates, taken: int) -> None:
    """Halve the step, and continue from the best point, where the loss no longer rises."""
    stuck = ~candidates.halved & (candidates.checked_value >= candidates.best_value)
    stuck |= candidates.increases <= INCREASES * taken
    candidates.halved, candidates.checked_value = stuck, candidates.best_value.clone()
    candidates.step = torch.where(stuck, candidates.step / 2, candidates.step)
    candidates.increases = torch.zeros_like(candidates.increases)
    _continue_from_best(candidates, stuck)


def _check_l1(candidates: Candidates, area: Ball) -> None:
    """Move fewer coordinates where the best point became sparser; shorten the step elsewhere."""
    changed = (candidates.best != candidates.images).flatten(1).float().mean(1)
    sparser = changed < L1_SPARSER * candidates.changed
    shorter = (candidates.step / L1_SHRINK).clamp(min=area.eps / L1_LEAST)
    candidates.step = torch.where(sparser, torch.zeros_like(shorter) + area.eps, shorter)
    candidates.moving, candidates.changed = changed / L1_SHRINK, changed
    _continue_from_best(candidates, sparser)


def _continue_from_best(candidates: Candidates, chosen: Tensor) -> None:
    mask = per_image(chosen)
    candidates.current = torch.where(mask, candidates.best, candidates.current)
    candidates.gradient = torch.where(mask, candidates.best_gradient, candidates.gradient)
