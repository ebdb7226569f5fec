"""TRADES: a clean loss, and a penalty on how far an attack can change the output."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div

from gauntlet.models import evaluating

SOFT_LABELS = True
FORWARDS, UPDATES = "3", "2"


def trades(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    attack: Callable[[Tensor, Tensor], Tensor],
    beta: float = 6.0,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Give cross-entropy(x) + beta * KL(p(x) || p(x')), where x' maximizes this KL divergence.

    Source: Zhang et al. 2019, "Theoretically Principled Trade-off between Robustness and Accuracy".
    Images [N, C, H, W], labels [N]; `attack` gets p(x) as soft labels [N, K], whose cross-entropy
    has the gradient of the divergence. Departure: the attack starts at its own random
    point (uniform in the ball), not at noise of standard deviation 0.001. `label_smoothing` in
    [0, 1) spreads a share of each label over all classes, in the clean loss.
    """
    with evaluating(model), torch.no_grad():
        probabilities = model(images).float().softmax(1)
    adversarial = attack(images, probabilities)
    logits = model(images)
    moved, clean = model(adversarial).log_softmax(1), logits.log_softmax(1)
    divergence = kl_div(moved, clean, log_target=True, reduction="batchmean")
    clean_loss = cross_entropy(logits, labels, label_smoothing=label_smoothing)
    return clean_loss + beta * divergence
