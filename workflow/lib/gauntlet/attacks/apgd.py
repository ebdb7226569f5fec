"""Auto-PGD with an untargeted loss."""

import torch
from torch import Tensor

from gauntlet.attacks.base.apgd_loop import auto_pgd
from gauntlet.attacks.base.entry import attack
from gauntlet.attacks.base.losses import choose_loss
from gauntlet.attacks.base.norm_balls import ball
from gauntlet.attacks.base.pgd_loop import restart_batches, unjudged
from gauntlet.attacks.base.settings import require_counts, require_one_start
from gauntlet.attacks.base.state import AttackState
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import AttackResult

NORMS = ("linf", "l2", "l1")
FOR_TRAINING = True
CHECK_SLACK = 0.15
FORWARDS = "restarts * (steps + 1)"
BACKWARDS = "restarts * steps"
DRAW_FORWARDS = "steps + 1"


@attack
def apgd(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    streams: Streams,
    norm: str,
    eps: float,
    steps: int = 100,
    restarts: int = 1,
    loss: str = "ce",
    early_stop: bool = True,
) -> AttackResult:
    """Raise a loss (ce, dlr or margin) by steps that adapt their length, from random starts.

    Sources: Croce & Hein 2020, "Reliable Evaluation of Adversarial Robustness with an Ensemble of
    Diverse Parameter-free Attacks"; l1 as in Croce & Hein 2021, "Mind the Box". Shapes: images
    [N, C, H, W] float32 in [0, 1], labels [N] int64; `eps` in the images' unit; norms linf, l2, l1.
    Departures: starts are uniform in the ball (not stretched to its boundary); l1 makes no runs in
    larger balls first. Without `early_stop`, all steps are taken from one start, and every image
    gets its point of highest loss, for transfer and loss statistics (`restarts` must then be 1).
    Raises ValueError for an unknown loss or norm, a negative eps, dlr with fewer than 3 classes,
    steps or restarts below 1, or restarts without `early_stop`.
    """
    require_counts(steps=steps, restarts=restarts)
    require_one_start(early_stop, restarts)
    area, state = ball(images, norm, eps), AttackState(model, images, labels)
    chosen = choose_loss(loss)

    def untargeted(logits: Tensor, truth: Tensor, targets: Tensor) -> Tensor:
        return chosen(logits, truth)

    if not early_stop:
        rows, start = torch.arange(len(images), device=images.device), area.random_start(streams)
        found = auto_pgd(state, area, rows, start, rows, steps=steps, loss=untargeted, drop=False)
        return unjudged(found, steps + 1)
    for rows, restart in restart_batches(state, restarts):
        part = area.select(rows)
        start = part.random_start(streams.select(rows).fork("restart", restart))
        auto_pgd(state, part, rows, start, restart, steps=steps, loss=untargeted)
    return state.result()
