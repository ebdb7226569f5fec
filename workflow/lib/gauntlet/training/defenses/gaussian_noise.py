"""Training on Gaussian noise: a control, which resists no attack."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gauntlet.core.rng import normal_like

SOFT_LABELS = True


def gaussian_noise(
    model, images: Tensor, labels: Tensor, *, generator: torch.Generator, sigma: float
) -> Tensor:
    """Give the cross-entropy on x + sigma * N(0, 1), labels kept, not cut to [0, 1].

    It is what the tutorial that Gauntlet sets right calls adversarial training (sigma 0.1): every
    update is on noisy images [N, C, H, W]; `sigma` in the images' unit.
    """
    return cross_entropy(model(images + sigma * normal_like(images, generator)), labels)
