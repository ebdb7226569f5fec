"""RSLAD: a robust teacher's answers in place of all labels, in the attack too."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import kl_div

from gauntlet.training.precision import widened

SOFT_LABELS = True
FORWARDS, UPDATES = "3", "2"


def rslad(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    attack: Callable[[Tensor, Tensor], Tensor],
    teacher: Callable[[Tensor], Tensor],
    clean_weight: float = 0.1666666666666666,
) -> Tensor:
    """Give w * KL(t(x) || p(x)) + (1 - w) * KL(t(x) || p(x')), where x' maximizes the second.

    Source: Zi et al. 2021, "Revisiting Adversarial Robustness Distillation: Robust Soft Labels Make
    Student Better" (w = 1/6). Images [N, C, H, W]; labels [N] are not used; `teacher` gives logits,
    of which t is the softmax. Departure: the attack starts at a uniform point of its ball.
    """
    told = teacher(images).log_softmax(1)
    moved = widened(model(attack(images, told.exp()))).log_softmax(1)
    clean = widened(model(images)).log_softmax(1)
    parts = [kl_div(own, told, log_target=True, reduction="batchmean") for own in (clean, moved)]
    return clean_weight * parts[0] + (1 - clean_weight) * parts[1]
