"""SmoothAdv: adversarial training of the smoothed classifier."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gauntlet.attacks.base.norm_balls import ball
from gauntlet.core.rng import normal_like
from gauntlet.training.inner import Inner

FORWARDS, BACKWARDS, UPDATES = "draws * (steps + 1)", "draws * steps", "draws"


def smoothadv(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    inner: Inner,
    sigma: float,
    eps: float,
    steps: int = 2,
    draws: int = 2,
) -> Tensor:
    """Give the cross-entropy on noisy copies of x', which an attack on their mean prediction made.

    Source: Salman et al. 2019, "Provably Robust Deep Learning via Adversarially Trained Smoothed
    Classifiers" (SmoothAdv-PGD): `steps` steps of 2 * eps / steps in the l2 ball of radius eps
    raise -log of the mean probability over `draws` fixed copies x' + sigma * N(0, 1). Images
    [N, C, H, W], labels [N]; `sigma` and `eps` in the images' unit.
    """
    noise = [sigma * normal_like(images, generator) for _ in range(draws)]
    radius, examples = eps * inner.size, images
    area = ball(images, "l2", radius)
    for _ in range(steps):
        points = torch.cat([examples + each for each in noise])
        gradient = inner.gradient(points, lambda logits: _smoothed(logits, labels, draws))
        total = gradient.view(draws, *images.shape).sum(0)
        examples = area.ascend(examples, total, inner.step * 2 * radius / steps)
    losses = [cross_entropy(model(examples + each), labels) for each in noise]
    return torch.stack(losses).mean()


def _smoothed(logits: Tensor, labels: Tensor, draws: int) -> Tensor:
    """Sum -log of the mean probability of the label over an image's copies [draws * N, K]."""
    logs = logits.log_softmax(1).view(draws, len(labels), -1)
    own = logs.gather(2, labels.expand(draws, -1)[:, :, None]).squeeze(2)
    return -(own.logsumexp(0)).sum()
