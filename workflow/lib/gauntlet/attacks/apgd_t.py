"""Auto-PGD towards each of the likeliest other classes."""

from torch import Tensor

from gauntlet.attacks.base.apgd_loop import auto_pgd
from gauntlet.attacks.base.entry import attack
from gauntlet.attacks.base.losses import (
    likely_targets,
    targeted_dlr,
    targeted_margin,
)
from gauntlet.attacks.base.norm_balls import ball
from gauntlet.attacks.base.pgd_loop import restart_batches
from gauntlet.attacks.base.settings import require_counts
from gauntlet.attacks.base.state import AttackState
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import AttackResult

LOSSES = {"dlr": targeted_dlr, "margin": targeted_margin}
NORMS = ("linf", "l2", "l1")
FORWARDS = "1 + restarts * min(targets, classes - 1) * (steps + 1)"
BACKWARDS = "restarts * min(targets, classes - 1) * steps"


@attack
def apgd_t(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    streams: Streams,
    norm: str,
    eps: float,
    steps: int = 100,
    restarts: int = 1,
    targets: int = 9,
    loss: str = "dlr",
) -> AttackResult:
    """Raise a targeted loss (dlr or margin) towards the classes of highest clean logits in turn.

    Source: Croce & Hein 2020, "Reliable Evaluation of Adversarial Robustness with an Ensemble of
    Diverse Parameter-free Attacks". Shapes: images [N, C, H, W] float32 in [0, 1], labels [N]
    int64; `eps` in the images' unit; norms linf, l2, l1. A model with fewer classes has fewer
    targets. Departures as in `apgd`; any other class counts as success, not only the target.
    Raises ValueError for a loss that needs more classes, or steps, restarts or targets below 1.
    """
    require_counts(steps=steps, restarts=restarts, targets=targets)
    area, state = ball(images, norm, eps), AttackState(model, images, labels)
    if loss not in LOSSES:
        raise ValueError(f"loss is {loss!r}; allowed are {', '.join(LOSSES)}")
    ranked = likely_targets(state, targets)
    for rows, number in restart_batches(state, restarts * ranked.shape[1]):
        part, target = area.select(rows), ranked[rows, number % ranked.shape[1]]
        start = part.random_start(streams.select(rows).fork("restart", number))
        auto_pgd(state, part, rows, start, target, steps=steps, loss=LOSSES[loss])
    return state.result()
