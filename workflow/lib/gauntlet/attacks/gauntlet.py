"""The gauntlet: our own ensemble, what measured best per second."""

from functools import partial

from torch import Tensor

from gauntlet.attacks._ensemble import Member, in_turn
from gauntlet.attacks._losses import TARGETED_LEAST
from gauntlet.attacks.apgd import apgd
from gauntlet.attacks.apgd_t import apgd_t
from gauntlet.attacks.square import square
from gauntlet.lens import look
from gauntlet.streams import Streams
from gauntlet.threat import Attempt

QUICK, WIDE, LONG = 10, 30, 100  # steps
FAR, NEAR = 9, 3  # targets
MEMBERS = ("apgd_quick", "apgd_ce", "apgd_wide", "apgd_t", "square")


def gauntlet(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    streams: Streams,
    norm: str,
    eps: float,
    queries: int = 2500,
) -> Attempt:
    """Run the attacks that felled most per second, each on the survivors of those before.

    Ten steps of Auto-PGD on the margin fell what is easy; then come a hundred on cross-entropy,
    thirty towards each of 9 classes, a hundred towards the likeliest 3, and Square with `queries`
    queries for what has no gradient. Sources as in `autoattack`, which runs a hundred steps towards
    each of 9 classes, FAB, and 5,000 queries. Shapes: images [N, C, H, W] float32 in [0, 1],
    labels [N] int64; `eps` in the images' unit; norms linf and l2. Raises ValueError for another
    norm or queries below 1.
    """
    if norm not in ("linf", "l2"):
        raise ValueError(f"norm is {norm!r}; allowed are linf, l2")
    lens = look(model)
    classes = lens(images[:1]).shape[1]
    return in_turn(lens, images, labels, streams, _members(norm, eps, classes, queries), norm, eps)


def members(settings: dict) -> tuple[str, ...]:
    """Name the members in the order of `Attempt.felled_by`."""
    return MEMBERS


def _members(norm: str, eps: float, classes: int, queries: int) -> list[Member]:
    area = {"norm": norm, "eps": eps}
    towards = "dlr" if classes >= TARGETED_LEAST else "margin"
    attacks = (
        partial(apgd, steps=QUICK, loss="margin", **area),
        partial(apgd, steps=LONG, **area),
        partial(apgd_t, steps=WIDE, targets=FAR, loss=towards, **area),
        partial(apgd_t, steps=LONG, targets=NEAR, loss=towards, **area),
        partial(square, queries=queries, **area),
    )
    return list(zip(MEMBERS, attacks, strict=True))
