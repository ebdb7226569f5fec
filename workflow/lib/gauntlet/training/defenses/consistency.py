"""Consistency training for randomized smoothing: noisy copies of an image agree."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gauntlet.core.rng import normal_like
from gauntlet.training.precision import widened

SOFT_LABELS = True
FORWARDS = UPDATES = "draws"


def consistency(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    sigma: float,
    draws: int = 2,
    weight: float = 10.0,
    entropy: float = 0.5,
) -> Tensor:
    """Give the mean over noisy copies of CE + weight * KL(m || p), and entropy * H(m).

    Source: Jeong & Shin 2020, "Consistency Regularization for Certified Robustness of Smoothed
    Classifiers"; p is the softmax of one of `draws` copies x + sigma * N(0, 1), m their mean, H its
    entropy. Images [N, C, H, W], labels [N]; `sigma` in the images' unit.
    """
    noisy = [model(images + sigma * normal_like(images, generator)) for _ in range(draws)]
    logs = torch.stack([widened(logits).log_softmax(1) for logits in noisy])
    mean = logs.exp().mean(0)
    spread = mean.clamp(min=torch.finfo(mean.dtype).tiny).log()
    divergence = (mean * (spread - logs)).sum(2).mean()
    disorder = -(mean * spread).sum(1).mean()
    hits = torch.stack([cross_entropy(logits, labels) for logits in noisy]).mean()
    return hits + weight * divergence + entropy * disorder
