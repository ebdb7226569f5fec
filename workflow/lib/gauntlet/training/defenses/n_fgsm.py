"""N-FGSM: one step from stronger noise, and no projection."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gauntlet.core.rng import uniform_like
from gauntlet.training.inner import Inner

SINGLE_STEP = SOFT_LABELS = True
FORWARDS, BACKWARDS = "2", "1"


def n_fgsm(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    inner: Inner,
    eps: float,
    alpha: float = 1.0,
    noise: float = 2.0,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Give the cross-entropy on x + n + alpha * eps * sign(gradient at x + n).

    Source: de Jorge et al. 2022, "Make Some Noise: Reliable and Efficient Single-Step Adversarial
    Training": n is uniform in [-noise * eps, noise * eps], and the sum is cut to [0, 1], not to the
    ball. Images [N, C, H, W], labels [N]; `eps` in the images' unit, linf.
    Departure: the step's gradient is taken in eval mode.
    """
    reach = noise * eps * inner.size
    start = (images + reach * uniform_like(images, generator)).clamp(0, 1)
    examples = inner.sign_step(
        start,
        alpha * eps * inner.size,
        lambda logits: cross_entropy(logits, labels, reduction="sum"),
    )
    return cross_entropy(model(examples), labels, label_smoothing=label_smoothing)
