"""AutoAttack: the field's reference ensemble."""

from functools import partial

from torch import Tensor

from gauntlet.attacks.apgd import apgd
from gauntlet.attacks.apgd_t import apgd_t
from gauntlet.attacks.base.ensemble import Member, in_turn
from gauntlet.attacks.base.entry import attack
from gauntlet.attacks.base.losses import TARGETED_LEAST
from gauntlet.attacks.fab_t import fab_t
from gauntlet.attacks.square import square
from gauntlet.core.batched_model import as_batched
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import AttackResult

STEPS, TARGETS, QUERIES, SAMPLES = 100, 9, 5000, 20
NEAR, FEW_NEAR = 0.12, 8  # share of the clean margin left; one of so many images is near
VERSIONS = {
    "standard": ("apgd_ce", "apgd_t", "fab_t", "apgd_t_again", "square"),
    "rand": ("apgd_ce", "apgd_dlr"),
}
NORMS = ("linf", "l2")
FORWARDS = (
    "2 * SAMPLES * (STEPS + 1) if version == 'rand' else "
    "STEPS + 8 + min(TARGETS, classes - 1) * (3 * STEPS + 11) + QUERIES + "
    "min(TARGETS, classes - 1) * (STEPS + 1) // FEW_NEAR"
)
BACKWARDS = (
    "2 * SAMPLES * STEPS if version == 'rand' else "
    "STEPS * (1 + 2 * min(TARGETS, classes - 1)) + "
    "min(TARGETS, classes - 1) * STEPS // FEW_NEAR"
)


@attack
def autoattack(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    streams: Streams,
    norm: str,
    eps: float,
    version: str = "standard",
) -> AttackResult:
    """Run AutoAttack's members in turn, each where those before failed, as the reference does.

    `standard` is APGD on cross-entropy, targeted APGD on DLR towards 9 classes, targeted FAB, and
    Square with 5,000 queries; `rand`, for models that answer differently each time, is APGD on
    cross-entropy and on DLR with gradients averaged over 20 passes. Source: Croce & Hein 2020,
    "Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-free
    Attacks". Shapes: images [N, C, H, W] float32 in [0, 1], labels [N] int64; `eps` in the images'
    unit; norms linf and l2. Departures: with fewer classes than DLR needs, the margin takes its
    place; an image that has less than 12 % of its clean margin left before Square is attacked
    once more towards 9 classes, on the margin, so that the luck of one start decides less.
    Raises ValueError for another version or norm.
    """
    if version not in VERSIONS:
        raise ValueError(f"version is {version!r}; allowed are {', '.join(VERSIONS)}")
    if norm not in ("linf", "l2"):
        raise ValueError(f"norm is {norm!r}; allowed are linf, l2")
    batched = as_batched(model)
    classes = batched(images[:1]).shape[1]
    make = _standard if version == "standard" else _rand
    attacked = batched if version == "standard" else batched.averaged_over(SAMPLES)
    return in_turn(attacked, images, labels, streams, make(norm, eps, classes), norm, eps)


def members(settings: dict) -> tuple[str, ...]:
    """Name the members in the order of `AttackResult.success_by`."""
    return VERSIONS[settings.get("version", "standard")]


def _standard(norm: str, eps: float, classes: int) -> list[Member]:
    area = {"norm": norm, "eps": eps}
    loss = "dlr" if classes >= TARGETED_LEAST else "margin"
    again = partial(apgd_t, steps=STEPS, targets=TARGETS)
    return [
        Member("apgd_ce", partial(apgd, steps=STEPS, **area)),
        Member("apgd_t", partial(again, loss=loss, **area)),
        Member("fab_t", partial(fab_t, steps=STEPS, targets=TARGETS, **area)),
        Member("apgd_t_again", partial(again, loss="margin", **area), most=NEAR),
        Member("square", partial(square, queries=QUERIES, **area)),
    ]


def _rand(norm: str, eps: float, classes: int) -> list[Member]:
    area = {"norm": norm, "eps": eps, "steps": STEPS}
    scale_free = "dlr" if classes >= TARGETED_LEAST - 1 else "margin"
    return [
        Member("apgd_ce", partial(apgd, loss="ce", **area)),
        Member("apgd_dlr", partial(apgd, loss=scale_free, **area)),
    ]
