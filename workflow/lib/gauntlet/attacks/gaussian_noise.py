"""Gaussian noise: no attack, but the control that every defense must be held against."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gauntlet.seeding import normal_like
from gauntlet.threat import Attempt


@torch.no_grad()
def gaussian_noise(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    sigma: float,
    draws: int,
    early_stop: bool = True,
) -> Attempt:
    """Add N(0, sigma^2) to every pixel, cut to [0, 1], and keep the worst of some draws.

    Shapes: images [N, C, H, W] float32 in [0, 1], labels [N] int64; `sigma` in the images' unit.
    The worst draw is one that is misclassified, else the one of highest loss; with `early_stop`
    an image that fell is drawn no more. Raises ValueError for a negative sigma or draws below 1.
    """
    if not sigma >= 0 or draws < 1:
        raise ValueError(f"sigma is {sigma} (0 or more) and draws is {draws} (1 or more)")
    worst = images.clone()
    highest = torch.full(labels.shape, -torch.inf, device=labels.device)
    fell = torch.zeros_like(labels, dtype=torch.bool)
    steps = torch.zeros_like(labels)
    for _ in range(draws):
        noisy = (images + sigma * normal_like(images, generator)).clamp_(0, 1)
        rows = (~fell).nonzero().squeeze(1) if early_stop else torch.arange(len(labels))
        rows = rows.to(images.device)
        if len(rows) == 0:
            break
        logits = model(noisy[rows]).float()
        losses = cross_entropy(logits, labels[rows], reduction="none")
        missed = logits.argmax(1) != labels[rows]
        steps[rows] += 1
        better = (missed & ~fell[rows]) | ((missed == fell[rows]) & (losses > highest[rows]))
        won = rows[better]
        worst[won], highest[won] = noisy[won], losses[better]
        fell[won] |= missed[better]
    return Attempt(worst, steps)
