"""Attacks in turn: each is let loose on what the ones before it left standing."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gauntlet.core.batched_model import NonFiniteLogits, as_batched
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import AttackResult, admissible

Member = tuple[str, Callable]


def in_turn(
    model,
    images: Tensor,
    labels: Tensor,
    streams: Streams,
    members: Sequence[Member],
    norm: str,
    eps: float,
) -> AttackResult:
    """Run named attacks on the survivors [N, C, H, W] of those before, and say which felled whom.

    An image counts as fallen if its example is misclassified and lies in the ball.
    """
    batched, best = as_batched(model), images.clone()
    forwards = torch.zeros_like(labels)
    backwards, success_query, by = forwards.clone(), forwards.clone(), forwards - 1
    for number, (name, attack) in enumerate(members):
        rows = (by < 0).nonzero().squeeze(1)
        if len(rows) == 0:
            break
        own = streams.select(rows).fork("member", name)
        result = _on(
            rows, lambda a=attack, r=rows, s=own: a(batched, images[r], labels[r], streams=s)
        )
        success = (result.success_query > 0) & admissible(result.images, images[rows], norm, eps)
        success_query[rows] = torch.where(success, forwards[rows] + result.success_query, 0)
        forwards[rows] += result.forwards
        backwards[rows] += result.backwards
        taken = rows if number == 0 else rows[success]
        best[taken] = result.images if number == 0 else result.images[success]
        by[rows[success]] = number
    names = tuple(name for name, _ in members)
    return AttackResult(best, forwards, backwards, success_query, by, names)


def _on(rows: Tensor, attack: Callable[[], AttackResult]) -> AttackResult:
    try:
        return attack()
    except NonFiniteLogits as error:
        raise NonFiniteLogits(int(rows[error.row])) from None
