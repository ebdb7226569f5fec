"""The fast gradient sign method."""

import torch
from torch import Tensor

from gauntlet.attacks._descent import full_climb
from gauntlet.threat import Attempt, ball


def fgsm(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    norm: str,
    eps: float,
    step: float,
    random_start: bool = False,
    early_stop: bool = True,
) -> Attempt:
    """Take one steepest step, from the image or from a random point of the ball.

    Sources: Goodfellow et al. 2015, "Explaining and Harnessing Adversarial Examples"; with
    `random_start`, Wong et al. 2020, "Fast is better than free" (step 1.25 eps there).
    Shapes: images [N, C, H, W] float32 in [0, 1], labels [N] int64; `eps` and `step` in the
    images' unit; norm l2 steps along the normalised gradient. One step cannot be cut short, so
    `early_stop` changes nothing. Raises ValueError for an unknown norm or a negative eps.
    """
    area = ball(images, norm, eps)
    start = area.random_start(generator) if random_start else images
    return full_climb(model, labels, area, start, steps=1, step=step)
