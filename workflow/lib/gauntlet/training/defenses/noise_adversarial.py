"""Adversarial training and training on Gaussian noise, together."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gauntlet.core.rng import normal_like

SOFT_LABELS = True
FORWARDS = UPDATES = "2"


def noise_adversarial(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    attack: Callable[[Tensor, Tensor], Tensor],
    sigma: float = 0.1,
    noise_share: float = 0.5,
) -> Tensor:
    """Give the weighted cross-entropies on x + sigma * N(0, 1) and on the attack's examples.

    `noise_share` in [0, 1) is the weight of the first. Images [N, C, H, W], labels [N]; `sigma` in
    the images' unit; noisy images are not cut to [0, 1].
    """
    adversarial = cross_entropy(model(attack(images, labels)), labels)
    noisy = cross_entropy(model(images + sigma * normal_like(images, generator)), labels)
    return noise_share * noisy + (1 - noise_share) * adversarial
