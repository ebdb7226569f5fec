"""MART: misclassified images count more in adversarial training."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gauntlet.training.precision import widened

FORWARDS = UPDATES = "2"
ABOVE = 1.0001  # a probability of 1 keeps a finite logarithm, as in the authors' code


def mart(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    attack: Callable[[Tensor, Tensor], Tensor],
    beta: float = 5.0,
) -> Tensor:
    """Give BCE(p(x'), y) + beta * KL(p(x) || p(x')) * (1 - p_y(x)), a mean over the images.

    Source: Wang et al. 2020, "Improving Adversarial Robustness Requires Revisiting Misclassified
    Examples"; BCE is the cross-entropy - log(1 - highest probability of another class). Images
    [N, C, H, W], labels [N].
    """
    adversarial = attack(images, labels)
    clean = widened(model(images)).log_softmax(1)
    moved = widened(model(adversarial)).log_softmax(1)
    others = moved.exp().scatter(1, labels[:, None], 0.0).amax(1)
    boosted = cross_entropy(moved, labels) - (ABOVE - others).log().mean()
    probabilities = clean.exp()
    divergence = (probabilities * (clean - moved)).sum(1)
    doubt = 1 - probabilities.gather(1, labels[:, None]).squeeze(1)
    return boosted + beta * (divergence * doubt).mean()
