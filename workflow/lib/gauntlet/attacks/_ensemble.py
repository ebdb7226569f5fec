"""Attacks in turn: each is let loose on what the ones before it left standing."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gauntlet.lens import NonFiniteLogits, look
from gauntlet.streams import Streams
from gauntlet.threat import Attempt, admissible

Member = tuple[str, Callable]


def in_turn(
    model,
    images: Tensor,
    labels: Tensor,
    streams: Streams,
    members: Sequence[Member],
    norm: str,
    eps: float,
) -> Attempt:
    """Run named attacks on the survivors [N, C, H, W] of those before, and say which felled whom.

    An image counts as fallen if its example is misclassified and lies in the ball.
    """
    lens, best = look(model), images.clone()
    forwards = torch.zeros_like(labels)
    backwards, felled_at, by = forwards.clone(), forwards.clone(), forwards - 1
    for number, (name, attack) in enumerate(members):
        rows = (by < 0).nonzero().squeeze(1)
        if len(rows) == 0:
            break
        own = streams.select(rows).fork("member", name)
        attempt = _on(
            rows, lambda a=attack, r=rows, s=own: a(lens, images[r], labels[r], streams=s)
        )
        fell = (attempt.felled_at > 0) & admissible(attempt.images, images[rows], norm, eps)
        felled_at[rows] = torch.where(fell, forwards[rows] + attempt.felled_at, 0)
        forwards[rows] += attempt.forwards
        backwards[rows] += attempt.backwards
        taken = rows if number == 0 else rows[fell]
        best[taken] = attempt.images if number == 0 else attempt.images[fell]
        by[rows[fell]] = number
    names = tuple(name for name, _ in members)
    return Attempt(best, forwards, backwards, felled_at, by, names)


def _on(rows: Tensor, attack: Callable[[], Attempt]) -> Attempt:
    try:
        return attack()
    except NonFiniteLogits as error:
        raise NonFiniteLogits(int(rows[error.row])) from None
