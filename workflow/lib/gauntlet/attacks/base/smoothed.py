"""A model with its own answers and a smoother gradient: the mean over noisy copies of the image."""

from collections.abc import Callable

import torch
from torch import Tensor

from gauntlet.core.answers import logits_of


class Smoothed:
    """A callable model: its answers [N, K], and gradients averaged over noise around the images.

    Gradients that change their direction from point to point (k-winners-take-all, quantized
    activations) point somewhere on average. `reach` is the largest change of a value, `draws` the
    number of noisy copies. Source: Athalye et al. 2018, "Obfuscated Gradients Give a False Sense of
    Security" (expectation over transformation).
    """

    def __init__(self, model: Callable, reach: float, draws: int = 8):
        self.model, self.reach, self.draws = model, reach, draws

    def __call__(self, images: Tensor) -> Tensor:
        own = logits_of(self.model(images), len(images))
        if not torch.is_grad_enabled():
            return own
        total = torch.zeros_like(own)
        for _ in range(self.draws):
            noise = self.reach * (2 * torch.rand_like(images) - 1)
            total = total + logits_of(self.model((images + noise).clamp(0, 1)), len(images))
        mean = total / self.draws
        return own.detach() + mean - mean.detach()
