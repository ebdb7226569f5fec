"""The gauntlet: this project's own ensemble, the strongest per second that was measured."""

from functools import partial

from torch import Tensor

from gauntlet.attacks.apgd import apgd
from gauntlet.attacks.apgd_t import apgd_t
from gauntlet.attacks.base.ensemble import Member, in_turn
from gauntlet.attacks.base.entry import attack
from gauntlet.attacks.square import square
from gauntlet.core.batched_model import as_batched
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import AttackResult

QUICK, MIDDLE, LONG = 10, 100, 200  # steps
NEAR = 3  # targets
MEMBERS = ("apgd_quick", "apgd_ce", "apgd_t", "square")
NORMS = ("linf", "l2")
FORWARDS = "QUICK + MIDDLE + 3 + min(NEAR, classes - 1) * (LONG + 1) + queries"
BACKWARDS = "QUICK + MIDDLE + min(NEAR, classes - 1) * LONG"


@attack
def gauntlet(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    streams: Streams,
    norm: str,
    eps: float,
    queries: int = 1000,
) -> AttackResult:
    """Run the attacks that found most per second in turn, each where those before failed.

    Ten steps of Auto-PGD on the margin are enough for easy images; then come a hundred on
    cross-entropy, two hundred on the margin towards each of the likeliest 3 classes, and Square
    with `queries` queries for models without a useful gradient. Few long runs find more than many
    short ones: on three hard images of MNIST, 3 x 200 such steps succeeded from 33 % of their
    starts, the 9 x 100 on DLR that `autoattack` takes from 11 %. Sources as there. Shapes: images
    [N, C, H, W] float32 in [0, 1], labels [N] int64; `eps` in the images' unit; norms linf and
    l2. Raises ValueError for another norm or queries below 1.
    """
    if norm not in ("linf", "l2"):
        raise ValueError(f"norm is {norm!r}; allowed are linf, l2")
    batched = as_batched(model)
    return in_turn(batched, images, labels, streams, _members(norm, eps, queries), norm, eps)


def members(settings: dict) -> tuple[str, ...]:
    """Name the members in the order of `AttackResult.success_by`."""
    return MEMBERS


def _members(norm: str, eps: float, queries: int) -> list[Member]:
    area = {"norm": norm, "eps": eps}
    attacks = (
        partial(apgd, steps=QUICK, loss="margin", **area),
        partial(apgd, steps=MIDDLE, **area),
        partial(apgd_t, steps=LONG, targets=NEAR, loss="margin", **area),
        partial(square, queries=queries, **area),
    )
    return list(zip(MEMBERS, attacks, strict=True))
