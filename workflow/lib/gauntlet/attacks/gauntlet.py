"""The gauntlet: this project's own ensemble, the strongest per second that was measured."""

from functools import partial

from torch import Tensor

from gauntlet.attacks.apgd import apgd
from gauntlet.attacks.apgd_t import apgd_t
from gauntlet.attacks.base.ensemble import Member, in_turn
from gauntlet.attacks.base.entry import attack
from gauntlet.attacks.square import square, square_from
from gauntlet.core.batched_model import as_batched
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import AttackResult

QUICK, SHORT, MIDDLE, LONG = 10, 20, 50, 100  # steps
FEW, ALL, STARTS = 5, 9, 3  # targets; starts of the long runs
NEAREST, NEARER, NEAR, STUCK = 0.05, 0.12, 0.2, 0.6  # shares of the clean margin left
WARM, PART = 25, 5  # parts of `queries`: for all images; for the near and the stuck ones
MEMBERS = (
    *("apgd_quick", "apgd_ce", "apgd_t_short", "square_warm", "square"),
    *("apgd_ce_starts", "apgd_t", "square_near", "square_long"),
)
NORMS = ("linf", "l2")
FEW_NEAR = 8  # one of so many images that are left is near: for what is foretold
FORWARDS = (
    "QUICK + LONG + 8 + min(FEW, classes - 1) * (SHORT + 1) + max(queries // WARM, 1) + "
    "max(queries // PART, 1) + (min(ALL, classes - 1) * (MIDDLE + 1) + STARTS * (LONG + 1) + "
    "max(queries // PART, 1) + queries) // FEW_NEAR"
)
BACKWARDS = (
    "QUICK + LONG + min(FEW, classes - 1) * SHORT + "
    "(min(ALL, classes - 1) * MIDDLE + STARTS * LONG) // FEW_NEAR"
)


@attack
def gauntlet(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    streams: Streams,
    norm: str,
    eps: float,
    queries: int = 5000,
) -> AttackResult:
    """Run the attacks that found most per second in turn, each where those before failed.

    All images get ten steps of Auto-PGD on the margin, a hundred on cross-entropy, twenty on the
    margin towards each of the likeliest 5 classes, and Square from the best point of these, with
    a 25th of `queries`. How much of its clean margin an image has left then says what is worth
    the time. Where it is at least 60 %, gradients may be of no use: Square begins anew, with a
    fifth of `queries`. Below 20 % an example may be near: Auto-PGD takes a hundred steps on
    cross-entropy from 3 more starts, and Square a fifth of `queries` from the best point; below
    12 %, Auto-PGD takes fifty steps towards each of 9 classes; below 5 %, Square takes all
    `queries`. The numbers were chosen by what was found on the networks of
    results/reference/benchmark/strength.md. Sources as in `autoattack`; starting Square from the
    best point of a gradient attack is this project's own. Shapes: images
    [N, C, H, W] float32 in [0, 1], labels [N] int64; `eps` in the images' unit; norms linf and
    l2. Raises ValueError for another norm or queries below 1.
    """
    if norm not in ("linf", "l2"):
        raise ValueError(f"norm is {norm!r}; allowed are linf, l2")
    if queries < 1:
        raise ValueError(f"queries is {queries}; 1 or more are allowed")
    batched = as_batched(model)
    return in_turn(batched, images, labels, streams, _members(norm, eps, queries), norm, eps)


def members(settings: dict) -> tuple[str, ...]:
    """Name the members in the order of `AttackResult.success_by`."""
    return MEMBERS


def _members(norm: str, eps: float, queries: int) -> list[Member]:
    area = {"norm": norm, "eps": eps}
    near, nearer, warmly = {"most": NEAR}, {"most": NEARER}, {"warm": True}
    quick = partial(apgd, steps=QUICK, loss="margin", **area)
    cross_entropy = partial(apgd, steps=LONG, **area)
    short = partial(apgd_t, steps=SHORT, targets=FEW, loss="margin", **area)
    warm = partial(square_from, queries=max(queries // WARM, 1), **area)
    part = max(queries // PART, 1)
    targeted = partial(apgd_t, steps=MIDDLE, targets=ALL, loss="margin", **area)
    starts = partial(apgd, steps=LONG, restarts=STARTS, **area)
    attacks = (
        *((quick, {}), (cross_entropy, {}), (short, {}), (warm, warmly)),
        (partial(square, queries=part, **area), {"least": STUCK}),
        *((starts, near), (targeted, nearer)),
        (partial(square_from, queries=part, **area), warmly | near),
        (partial(square_from, queries=queries, **area), warmly | {"most": NEAREST}),
    )
    named = zip(MEMBERS, attacks, strict=True)
    return [Member(name, attack, **options) for name, (attack, options) in named]
