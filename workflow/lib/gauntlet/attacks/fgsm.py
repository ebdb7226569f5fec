"""The fast gradient sign method."""

from torch import Tensor

from gauntlet.attacks.base.entry import attack
from gauntlet.attacks.base.norm_balls import ball
from gauntlet.attacks.base.pgd_loop import run_until_success, take_all_steps
from gauntlet.attacks.base.settings import require_not_negative
from gauntlet.attacks.base.state import AttackState
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import AttackResult

NORMS = ("linf", "l2")
FOR_TRAINING = True
CHECK_SLACK = 1.0
LOW_PRECISION = True
DEFAULT_STEP = "1.25 * eps if random_start else eps"
FORWARDS = "2"
BACKWARDS = "1"


@attack
def fgsm(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    streams: Streams,
    norm: str,
    eps: float,
    step: float,
    random_start: bool = False,
    early_stop: bool = True,
) -> AttackResult:
    """Take one steepest step, from the image or from a random point of the ball.

    Sources: Goodfellow et al. 2015, "Explaining and Harnessing Adversarial Examples"; with
    `random_start`, Wong et al. 2020, "Fast is better than free" (step 1.25 eps there).
    Shapes: images [N, C, H, W] float32 in [0, 1], labels [N] int64; `eps` and `step` in the
    images' unit; norm l2 steps along the normalized gradient. With `early_stop`, a start that is
    misclassified is kept. Raises ValueError for an unknown norm, or a negative eps or step.
    """
    require_not_negative(step=step)
    area = ball(images, norm, eps)
    if early_stop:
        state = AttackState(model, images, labels)
        return run_until_success(state, area, streams, random_start, 1, steps=1, step=step)
    start = area.random_start(streams) if random_start else images
    return take_all_steps(model, labels, area, start, steps=1, step=step)
