"""Projected gradient descent."""

from torch import Tensor

from gauntlet.attacks.base.entry import attack
from gauntlet.attacks.base.losses import choose_loss
from gauntlet.attacks.base.norm_balls import ball
from gauntlet.attacks.base.pgd_loop import run_until_success, take_all_steps
from gauntlet.attacks.base.settings import (
    require_counts,
    require_not_negative,
    require_one_start,
)
from gauntlet.attacks.base.state import AttackState
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import AttackResult

NORMS = ("linf", "l2")
FOR_TRAINING = True
CHECK_SLACK = 0.1
LOW_PRECISION = True
DEFAULT_STEP = "2.5 * eps / steps"
FORWARDS = "restarts * (steps + 1)"
BACKWARDS = "restarts * steps"


@attack
def pgd(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    streams: Streams,
    norm: str,
    eps: float,
    steps: int,
    step: float,
    restarts: int = 1,
    random_start: bool = True,
    loss: str = "ce",
    early_stop: bool = True,
) -> AttackResult:
    """Raise a loss (ce, margin or dlr) by steps of fixed length inside the ball of radius eps.

    Source: Madry et al. 2018, "Towards Deep Learning Models Resistant to Adversarial Attacks".
    Shapes: images [N, C, H, W] float32 in [0, 1], labels [N] int64; `eps` and `step` in the
    images' unit. With `early_stop`, an image that is misclassified takes no more steps; one that
    never is keeps its iterate of highest loss; without it, all steps are taken from one start
    (for training, transfer and loss statistics; `restarts` must then be 1).
    Departure: every iterate counts, not only the last of a restart (never weaker).
    Raises ValueError for an unknown norm or loss, a negative eps or step, steps or restarts below
    1, dlr with fewer than 3 classes, or restarts without `early_stop`.
    """
    require_counts(steps=steps, restarts=restarts)
    require_not_negative(step=step)
    require_one_start(early_stop, restarts)
    area, objective = ball(images, norm, eps), choose_loss(loss)
    if not early_stop:
        start = area.random_start(streams) if random_start else images
        return take_all_steps(model, labels, area, start, steps=steps, step=step, loss=objective)
    state = AttackState(model, images, labels)
    return run_until_success(
        state, area, streams, random_start, restarts, steps=steps, step=step, loss=objective
    )
