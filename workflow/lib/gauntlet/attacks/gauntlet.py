"""The gauntlet: this project's own ensemble, the strongest per second that was measured."""

from functools import partial

from torch import Tensor

from gauntlet.attacks.apgd import apgd
from gauntlet.attacks.apgd_t import apgd_t
from gauntlet.attacks.base.ensemble import Member, in_turn
from gauntlet.attacks.base.entry import attack
from gauntlet.attacks.base.losses import TARGETED_LEAST
from gauntlet.attacks.square import square, square_from
from gauntlet.core.batched_model import as_batched
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import AttackResult

QUICK, SHORT, LONG = 10, 20, 100  # steps
FEW, LIKELIEST = 5, 3  # targets
STARTS, PAIR, TRIES = 3, 2, 4  # starts: on cross-entropy, on DLR and on the margin
NEAREST, NEARER, NEAR, STUCK, STILL = 0.05, 0.12, 0.2, 0.6, 0.9  # shares of the clean margin
WARM, PART = 25, 5  # parts of `queries`: for all images; for the near and the stuck ones
MEMBERS = (
    *("apgd_quick", "apgd_ce", "apgd_t_short", "apgd_t_still", "square_warm", "square"),
    *("apgd_ce_starts", "apgd_t", "square_near", "apgd_t_long", "square_long"),
)
NORMS = ("linf", "l2")
FEW_NEAR = 8  # one of so many images that are left is near: for what is foretold
FORWARDS = (
    "QUICK + LONG + 8 + min(FEW, classes - 1) * (SHORT + 1) + max(queries // WARM, 1) + "
    "min(LIKELIEST, classes - 1) * (LONG + 1) + "
    "max(queries // PART, 1) + (LIKELIEST * PAIR * (LONG + 1) + STARTS * (LONG + 1) + "
    "max(queries // PART, 1) + LIKELIEST * TRIES * (LONG + 1) + queries) // FEW_NEAR"
)
BACKWARDS = (
    "QUICK + LONG + min(FEW, classes - 1) * SHORT + min(LIKELIEST, classes - 1) * LONG + "
    "(LIKELIEST * (PAIR + TRIES) + STARTS) * LONG // FEW_NEAR"
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
    a 25th of `queries`. How much of its clean margin an image has left says what is worth the
    time. Where it is at least 90 % before Square, the margin may be flat: Auto-PGD raises DLR
    towards each of the likeliest 3 classes. At 60 % or more after it, gradients may be of no use:
    Square begins anew, with a fifth of `queries`. Below 20 % an example may be near: Auto-PGD
    takes a hundred steps on cross-entropy from 3 more starts, and Square a fifth of `queries` from
    the best point. Below 12 %, Auto-PGD raises DLR from 2 starts towards each of 3 classes; below
    5 %, the margin from 4, and Square takes all `queries`. The numbers were chosen by what was
    found on the networks of results/reference/benchmark/strength.md: on cross-entropy, DLR and the
    margin, different images fall. Sources as in `autoattack`; starting Square from the best point
    of a gradient attack is this project's own. Departure: with fewer classes than DLR needs, the
    margin takes its place.
    Shapes: images [N, C, H, W] float32 in [0, 1], labels [N] int64; `eps` in the images' unit;
    norms linf and l2. Raises ValueError for another norm or queries below 1.
    """
    if norm not in ("linf", "l2"):
        raise ValueError(f"norm is {norm!r}; allowed are linf, l2")
    if queries < 1:
        raise ValueError(f"queries is {queries}; 1 or more are allowed")
    batched = as_batched(model)
    classes = batched(images[:1]).shape[1]
    chosen = _members(norm, eps, queries, "dlr" if classes >= TARGETED_LEAST else "margin")
    return in_turn(batched, images, labels, streams, chosen, norm, eps)


def members(settings: dict) -> tuple[str, ...]:
    """Name the members in the order of `AttackResult.success_by`."""
    return MEMBERS


def _members(norm: str, eps: float, queries: int, ratio: str) -> list[Member]:
    """Give the attacks in turn; `ratio` is the loss that does not depend on the logits' scale."""
    area, part = {"norm": norm, "eps": eps}, max(queries // PART, 1)
    near, nearer, nearest = ({"most": share} for share in (NEAR, NEARER, NEAREST))
    climb, aim = partial(apgd, **area), partial(apgd_t, **area)
    onwards, anew = partial(square_from, **area), partial(square, **area)
    towards = {"steps": LONG, "targets": LIKELIEST}
    attacks = (
        (partial(climb, steps=QUICK, loss="margin"), {}),
        (partial(climb, steps=LONG), {}),
        (partial(aim, steps=SHORT, targets=FEW, loss="margin"), {}),
        (partial(aim, loss=ratio, **towards), {"least": STILL}),
        (partial(onwards, queries=max(queries // WARM, 1)), {"warm": True}),
        (partial(anew, queries=part), {"least": STUCK}),
        (partial(climb, steps=LONG, restarts=STARTS), near),
        (partial(aim, restarts=PAIR, loss=ratio, **towards), nearer),
        (partial(onwards, queries=part), {"warm": True} | near),
        (partial(aim, restarts=TRIES, loss="margin", **towards), nearest),
        (partial(onwards, queries=queries), {"warm": True} | nearest),
    )
    named = zip(MEMBERS, attacks, strict=True)
    return [Member(name, attack, **options) for name, (attack, options) in named]
