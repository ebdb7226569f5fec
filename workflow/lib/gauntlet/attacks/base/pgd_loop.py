"""The loop that gradient attacks with a fixed eps share; the norm's hooks are in `balls`."""

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


def take_all_steps(model, labels: Tensor, area: Ball, start: Tensor, *, steps, step, loss: Loss = ce):
    """Take all steps for all images, as training and loss statistics ask.

    `labels` are classes [N] or probabilities [N, K].
    """
    batched, examples = as_batched(model), start
    for _ in range(steps):
        gradient, _, _ = batched.gradient(examples, lambda logits, rows: loss(logits, labels[rows]))
        examples = area.ascend(examples, gradient, step)
    return unjudged(examples, steps)


def unjudged(examples: Tensor, steps: int) -> AttackResult:
    """Give examples that took all steps and were not judged."""
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
    """Climb from `restarts` starts, only with images that have not fallen yet.

    The forward pass of a step also judges the step before. While all survivors leave room in one
    chunk of the model, several restarts climb together.
    """
    for rows, restart in restart_batches(state, restarts):
        part = area.select(rows)
        draw = streams.select(rows).fork("restart", restart)
        start = part.random_start(draw) if random_start else part.images
        _run_batch(state, part, rows, start, steps, step, loss, momentum)
    return state.result()


def restart_batches(state: AttackState, restarts: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Give survivors' rows [M], and which restart each is of [M], until all restarts are made."""
    done = 0
    while done < restarts and len(rows := state.active()):
        together = min(restarts - done, max(1, state.batched.batch // len(rows)))
        restart = torch.arange(done, done + together, device=rows.device)
        yield rows.repeat(together), restart.repeat_interleave(len(rows))
        done += together


def _run_batch(
    state: AttackState, part: Ball, rows, examples, steps: int, step, loss: Loss, momentum: float
) -> None:
    memory = torch.zeros_like(examples) if momentum else None
    for _ in range(steps):
        labels = state.labels[rows]
        gradient, _, _ = state.gradient(
            rows, examples, lambda logits, places, truth=labels: loss(logits, truth[places])
        )
        stay = (~state.success[rows]).nonzero().squeeze(1)
        if len(stay) < len(rows):
            rows, examples, gradient = rows[stay], examples[stay], gradient[stay]
            part, memory = part.select(stay), memory[stay] if momentum else None
        if len(rows) == 0:
            return
        if momentum:
            gradient = memory = momentum * memory + _scaled(gradient)
        examples = part.ascend(examples, gradient, step)
    labels = state.labels[rows]
    state.judge(rows, examples, lambda logits, places: loss(logits, labels[places]))


def _scaled(gradient: Tensor) -> Tensor:
    """Divide each image's gradient by its mean size."""
    size = gradient.abs().flatten(1).mean(1)
    return gradient / per_image(size.clamp(min=torch.finfo(gradient.dtype).tiny))
