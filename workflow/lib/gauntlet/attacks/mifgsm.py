"""The momentum iterative fast gradient sign method."""

from torch import Tensor

from gauntlet.attacks._descent import survivors_climb
from gauntlet.attacks._hunt import Hunt
from gauntlet.balls import ball
from gauntlet.streams import Streams
from gauntlet.threat import Attempt


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
) -> Attempt:
    """Climb the cross-entropy along a memory of gradients, from the image itself.

    Source: Dong et al. 2018, "Boosting Adversarial Attacks with Momentum". Shapes: images
    [N, C, H, W] float32 in [0, 1], labels [N] int64; `eps` and `step` in the images' unit; norms
    linf and l2. Departures: gradients are divided by their mean size (the paper's l1 norm, up to a
    constant); every iterate counts. Raises ValueError for an unknown norm, a negative eps or
    momentum, or steps below 1.
    """
    if steps < 1 or not momentum >= 0:
        raise ValueError(f"steps is {steps} (1 or more) and momentum is {momentum} (0 or more)")
    hunt, area = Hunt(model, images, labels), ball(images, norm, eps)
    return survivors_climb(hunt, area, streams, False, 1, steps=steps, step=step, momentum=momentum)
