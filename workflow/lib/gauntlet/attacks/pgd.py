"""Projected gradient descent."""

import torch
from torch import Tensor

from gauntlet.attacks._descent import full_climb, survivors_climb
from gauntlet.threat import Attempt, ball


def pgd(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    norm: str,
    eps: float,
    steps: int,
    step: float,
    restarts: int = 1,
    random_start: bool = True,
    early_stop: bool = True,
) -> Attempt:
    """Climb the cross-entropy by steps of fixed length inside the ball of radius eps.

    Source: Madry et al. 2018, "Towards Deep Learning Models Resistant to Adversarial Attacks".
    Shapes: images [N, C, H, W] float32 in [0, 1], labels [N] int64; `eps` and `step` in the
    images' unit. With `early_stop`, an image that fell in any restart is done, and an image that
    never falls keeps its iterate of highest loss; without it, one climb of full length is made
    from one start (for training, transfer and loss statistics; `restarts` must then be 1).
    Departure: every iterate counts, not only the last of a restart (never weaker).
    Raises ValueError for an unknown norm, a negative eps, steps or restarts below 1.
    """
    if steps < 1 or restarts < 1:
        raise ValueError(f"steps is {steps} and restarts is {restarts}; both must be 1 or more")
    area = ball(images, norm, eps)

    def start() -> Tensor:
        return area.random_start(generator) if random_start else images

    if not early_stop:
        assert restarts == 1, "a climb of full length has one start"
        return full_climb(model, labels, area, start(), steps=steps, step=step)
    starts = (start() for _ in range(restarts))
    return survivors_climb(model, labels, area, starts, steps=steps, step=step)
