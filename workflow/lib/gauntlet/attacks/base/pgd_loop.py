"""The loop of gradient attacks with a fixed eps; what differs by norm is in `norm_balls`."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from gauntlet.attacks.base.losses import ce
from gauntlet.attacks.base.norm_balls import Ball
from gauntlet.attacks.base.state import AttackState
from gauntlet.core.batched_model import as_batched
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import AttackResult, per_image

Loss = Callable[[Tensor, Tensor], Tensor]


def take_all_steps(model, labels: Tensor, area: Ball, start: Tensor, *, steps, step, loss=ce):
    """Take all steps with all images and judge nothing, as training and transfer sets need it.

    `labels` are classes [N] or probabilities [N, K].
    """
    batched, examples = as_batched(model), start
    for _ in range(steps):
        gradient, _, _ = batched.gradient(examples, lambda logits, rows: loss(logits, labels[rows]))
        examples = area.ascend(examples, gradient, step)
    return unjudged(examples, steps)


def unjudged(examples: Tensor, steps: int) -> AttackResult:
    """Give the result of examples that took all steps and were not judged."""
    passes = torch.full((len(examples),), steps, dtype=torch.int64, device=examples.device)
    return AttackResult(examples, passes, passes, torch.zeros_like(passes))


def run_until_success(
    state: AttackState,
    area: Ball,
    streams: Streams,
    random_start: bool,
    restarts: int,
    *,
    steps: int,
    step: float,
    loss: Loss = ce,
    momentum: float = 0.0,
) -> AttackResult:
    """Attack from `restarts` starts; an image that is misclassified takes no more steps.

    The forward pass of a step also judges the step before. When few images are left, several of
    their restarts run in one chunk of the model.
    """
    for rows, restart in restart_batches(state, restarts):
        part = area.select(rows)
        draw = streams.select(rows).fork("restart", restart)
        start = part.random_start(draw) if random_start else part.images
        _run_batch(state, part, rows, start, steps, step, loss, momentum)
    return state.result()


def restart_batches(state: AttackState, restarts: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Give the rows [M] of unsolved images and the number [M] of each one's restart, in batches."""
    done = 0
    while done < restarts and len(rows := state.active()):
        together = min(restarts - done, max(1, state.batched.batch // len(rows)))
        restart = torch.arange(done, done + together, device=rows.device)
        yield rows.repeat(together), restart.repeat_interleave(len(rows))
        done += together


def _run_batch(
    state: AttackState, part: Ball, rows, examples, steps: int, step, loss: Loss, momentum: float
) -> None:
    velocity = torch.zeros_like(examples) if momentum else None
    for _ in range(steps):
        gradient, _, _ = state.gradient(rows, examples, _objective(state, rows, loss))
        stay = (~state.success[rows]).nonzero().squeeze(1)
        if len(stay) < len(rows):
            rows, examples, gradient = rows[stay], examples[stay], gradient[stay]
            part, velocity = part.select(stay), velocity[stay] if momentum else None
        if len(rows) == 0:
            return
        if momentum:
            gradient = velocity = momentum * velocity + _normalized(gradient)
        examples = part.ascend(examples, gradient, step)
    state.judge(rows, examples, _objective(state, rows, loss))


def _objective(state: AttackState, rows: Tensor, loss: Loss):
    labels = state.labels[rows]
    return lambda logits, places: loss(logits, labels[places])


def _normalized(gradient: Tensor) -> Tensor:
    """Divide each image's gradient by the mean of its absolute values."""
    size = gradient.abs().flatten(1).mean(1)
    return gradient / per_image(torch.where(size > 0, size, 1.0))
