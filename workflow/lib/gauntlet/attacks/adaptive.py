"""The attack that goes around what hides gradients, as an audit has found it."""

from functools import partial

from torch import Tensor

from gauntlet.attacks._ensemble import Member, in_turn
from gauntlet.attacks.apgd import apgd
from gauntlet.attacks.apgd_t import apgd_t
from gauntlet.attacks.square import square
from gauntlet.lens import Lens, look
from gauntlet.streams import Streams
from gauntlet.surrogate import StraightThrough
from gauntlet.threat import Attempt

TARGETS = 3
MEMBERS = ("apgd_margin", "apgd_ce", "apgd_t", "square")


def adaptive(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    streams: Streams,
    norm: str,
    eps: float,
    steps: int = 100,
    restarts: int = 2,
    queries: int = 2000,
    samples: int = 1,
    straight_through: bool = False,
) -> Attempt:
    """Attack by losses that no scale hides, from several starts, then by random search.

    Auto-PGD climbs the margin, the cross-entropy, and the margin towards each of the likeliest
    3 classes; Square, which needs no gradient, looks for the rest. Gradients are means over
    `samples` passes of a model that answers differently each time, and `straight_through` passes
    them through what cuts them off. Sources: Tramer et al. 2020, "On Adaptive Attacks to
    Adversarial Example Defenses"; Athalye et al. 2018, "Obfuscated Gradients Give a False Sense of
    Security". Shapes: images [N, C, H, W] float32 in [0, 1], labels [N] int64; `eps` in the images'
    unit; norms linf and l2. Examples are judged on the model itself.
    Raises ValueError for another norm, or steps, restarts, queries or samples below 1.
    """
    if norm not in ("linf", "l2"):
        raise ValueError(f"norm is {norm!r}; allowed are linf, l2")
    lens = look(model)
    seen = StraightThrough(lens.model) if straight_through else lens.model
    adapted = Lens(seen, lens.batch, "float32", samples)
    members = _members(norm, eps, steps, restarts, queries)
    return in_turn(adapted, images, labels, streams, members, norm, eps)


def members(settings: dict) -> tuple[str, ...]:
    """Name the members in the order of `Attempt.felled_by`."""
    return MEMBERS


def _members(norm: str, eps: float, steps: int, restarts: int, queries: int) -> list[Member]:
    area = {"norm": norm, "eps": eps}
    climb = area | {"steps": steps, "restarts": restarts}
    attacks = (
        partial(apgd, loss="margin", **climb),
        partial(apgd, **climb),
        partial(apgd_t, targets=TARGETS, loss="margin", **climb),
        partial(square, queries=queries, **area),
    )
    return list(zip(MEMBERS, attacks, strict=True))
