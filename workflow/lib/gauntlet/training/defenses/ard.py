"""ARD: a student learns on adversarial images what a robust teacher says of the clean ones."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div

from gauntlet.training.precision import widened

SOFT_LABELS = True
FORWARDS, UPDATES = "3 if alpha < 1 else 2", "2 if alpha < 1 else 1"


def ard(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    attack: Callable[[Tensor, Tensor], Tensor],
    teacher: Callable[[Tensor], Tensor],
    alpha: float = 1.0,
    temperature: float = 30.0,
) -> Tensor:
    """Give alpha * t^2 * KL(teacher(x) || student(x')) + (1 - alpha) * cross-entropy(x).

    Source: Goldblum et al. 2020, "Adversarially Robust Distillation"; answers are divided by the
    `temperature` t before the softmax. Images [N, C, H, W], labels [N]; `teacher` gives logits.
    """
    told = (teacher(images) / temperature).log_softmax(1)
    moved = (widened(model(attack(images, labels))) / temperature).log_softmax(1)
    distilled = kl_div(moved, told, log_target=True, reduction="batchmean")
    loss = alpha * temperature**2 * distilled
    return loss if alpha == 1 else loss + (1 - alpha) * cross_entropy(model(images), labels)
