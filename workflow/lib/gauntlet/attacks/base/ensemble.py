"""Attacks in turn: each runs on the images on which those before it failed."""

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
    """Run named attacks in turn on images [N, C, H, W]; `success_by` says which one succeeded.

    An attack gets only the images on which those before it failed. Success is an example that is
    misclassified and lies in the ball.
    """
    batched, best = as_batched(model), images.clone()
    forwards = torch.zeros_like(labels)
    backwards, success_query, by = forwards.clone(), forwards.clone(), forwards - 1
    for number, (name, attack) in enumerate(members):
        rows = (by < 0).nonzero().squeeze(1)
        if len(rows) == 0:
            break
        own = streams.select(rows).fork("member", name)
        try:
            result = attack(batched, images[rows], labels[rows], streams=own)
        except NonFiniteLogits as error:
            raise NonFiniteLogits(int(rows[error.row])) from None
        success = (result.success_query > 0) & admissible(result.images, images[rows], norm, eps)
        success_query[rows] = torch.where(success, forwards[rows] + result.success_query, 0)
        forwards[rows] += result.forwards
        backwards[rows] += result.backwards
        kept = torch.ones_like(success) if number == 0 else success
        best[rows[kept]] = result.images[kept]
        by[rows[success]] = number
    names = tuple(name for name, _ in members)
    return AttackResult(best, forwards, backwards, success_query, by, names)
