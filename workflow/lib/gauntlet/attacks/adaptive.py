"""The attack that works around masked gradients, with the remedies that an audit asked for."""

from functools import partial

import torch
from torch import Tensor

from gauntlet.attacks.apgd import apgd
from gauntlet.attacks.apgd_t import apgd_t
from gauntlet.attacks.base.bpda import StraightThrough
from gauntlet.attacks.base.ensemble import Member, in_turn
from gauntlet.attacks.base.entry import attack
from gauntlet.attacks.base.settings import require_counts
from gauntlet.attacks.square import square
from gauntlet.core.batched_model import BatchedModel, as_batched
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import AttackResult, per_image

TARGETS = 3
HALF = 0.5  # of the passes that an example must fool to count as found
MEMBERS = ("apgd_margin", "apgd_ce", "apgd_t", "square")
AVERAGED = ("apgd_margin", "apgd_ce")  # of a model that answers differently each time
NORMS = ("linf", "l2")
FORWARDS = (
    "2 * restarts * samples * (steps + 2) if samples > 1 else "
    "1 + restarts * (2 + min(TARGETS, classes - 1)) * (steps + 1) + queries"
)
BACKWARDS = (
    "2 * restarts * samples * (steps + 1) if samples > 1 else "
    "restarts * (2 + min(TARGETS, classes - 1)) * steps"
)


@attack
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
) -> AttackResult:
    """Attack with scale-free losses from several starts, then with random search.

    Auto-PGD raises the margin, the cross-entropy, and the margin towards each of the likeliest
    3 classes; Square, which needs no gradient, attacks the rest. `straight_through` replaces the
    gradient of operations that have none (BPDA). With `samples` above 1, for a model that answers
    differently each time, only Auto-PGD runs: on the margin and on the cross-entropy, averaged over
    that many passes, with all steps; the example is kept that fools most of as many new passes.
    Sources: Tramer et al. 2020, "On Adaptive Attacks to Adversarial Example Defenses"; Athalye et
    al. 2018, "Obfuscated Gradients Give a False Sense of Security". Shapes: images
    [N, C, H, W] float32 in [0, 1], labels [N] int64; `eps` in the images' unit; norms linf and
    l2. Examples are judged on the model itself.
    Raises ValueError for another norm, or steps, restarts, queries or samples below 1.
    """
    if norm not in ("linf", "l2"):
        raise ValueError(f"norm is {norm!r}; allowed are linf, l2")
    batched = as_batched(model)
    require_counts(steps=steps, restarts=restarts, queries=queries, samples=samples)
    attacked = StraightThrough(batched.model) if straight_through else batched.model
    adapted = BatchedModel(attacked, batched.batch, "float32", samples)
    if samples > 1:
        area = {"norm": norm, "eps": eps, "steps": steps}
        return _most_often(adapted, images, labels, streams, restarts, area)
    members = _members(norm, eps, steps, restarts, queries)
    return in_turn(adapted, images, labels, streams, members, norm, eps)


def members(settings: dict) -> tuple[str, ...]:
    """Name the members in the order of `AttackResult.success_by`."""
    return MEMBERS if settings.get("samples", 1) == 1 else AVERAGED


def _members(norm: str, eps: float, steps: int, restarts: int, queries: int) -> list[Member]:
    area = {"norm": norm, "eps": eps}
    common = area | {"steps": steps, "restarts": restarts}
    attacks = (
        partial(apgd, loss="margin", **common),
        partial(apgd, **common),
        partial(apgd_t, targets=TARGETS, loss="margin", **common),
        partial(square, queries=queries, **area),
    )
    return [Member(*one) for one in zip(MEMBERS, attacks, strict=True)]


def _most_often(
    batched: BatchedModel, images, labels, streams: Streams, restarts: int, area: dict
) -> AttackResult:
    """Take all steps from every start, and keep the example that fools most passes."""
    best, rate = images.clone(), torch.full_like(labels, -1, dtype=torch.float32)
    by, forwards, backwards = torch.full_like(labels, -1), labels * 0, labels * 0
    for number, name in enumerate(AVERAGED):
        for restart in range(restarts):
            own = streams.fork("member", name, restart)
            settings = area | {"loss": name.removeprefix("apgd_"), "early_stop": False}
            found = apgd(batched, images, labels, streams=own, **settings)
            fooled = _fooling_rate(batched, found.images, labels)
            better = fooled > rate
            best = torch.where(per_image(better), found.images, best)
            rate, by = torch.where(better, fooled, rate), torch.where(better, number, by)
            forwards += batched.samples * (found.forwards + 1)
            backwards += batched.samples * found.backwards
    success = rate >= HALF
    by = torch.where(success, by, -1)
    return AttackResult(best, forwards, backwards, forwards * success, by, AVERAGED)


def _fooling_rate(batched: BatchedModel, examples: Tensor, labels: Tensor) -> Tensor:
    """Give the share of passes in which each example is misclassified: [N]."""
    missed = [(batched(examples).argmax(1) != labels).float() for _ in range(batched.samples)]
    return torch.stack(missed).mean(0)
