"""The momentum iterative fast gradient sign method."""

from torch import Tensor

from gauntlet.attacks.base.entry import attack
from gauntlet.attacks.base.norm_balls import ball
from gauntlet.attacks.base.pgd_loop import run_until_success
from gauntlet.attacks.base.settings import require_counts, require_not_negative
from gauntlet.attacks.base.state import AttackState
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import AttackResult

NORMS = ("linf", "l2")
CHECK_SLACK = 0.5
LOW_PRECISION = True
DEFAULT_STEP = "eps / steps"
FORWARDS = "steps + 1"
BACKWARDS = "steps"


@attack
def mifgsm(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    streams: Streams,
    norm: str,
    eps: float,
    step: float,
    steps: int = 10,
    momentum: float = 1.0,
) -> AttackResult:
    """Raise the cross-entropy along a running sum of gradients, from the image itself.

    Source: Dong et al. 2018, "Boosting Adversarial Attacks with Momentum". Shapes: images
    [N, C, H, W] float32 in [0, 1], labels [N] int64; `eps` and `step` in the images' unit; norms
    linf and l2. Departures: gradients are divided by their mean size (the paper's l1 norm, up to a
    constant); every iterate counts. Raises ValueError for an unknown norm, a negative eps,
    step or momentum, or steps below 1.
    """
    require_counts(steps=steps)
    require_not_negative(step=step, momentum=momentum)
    state, area = AttackState(model, images, labels), ball(images, norm, eps)
    return run_until_success(
        state, area, streams, False, 1, steps=steps, step=step, momentum=momentum
    )
