"""GradAlign: single-step training that keeps the loss nearly linear inside the ball."""

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy

from gauntlet.core.rng import uniform_like
from gauntlet.models import in_eval_mode
from gauntlet.training.inner import Inner
from gauntlet.training.precision import widened

SOFT_LABELS = True
FORWARDS, BACKWARDS, UPDATES = "3", "2", "3"  # one gradient is differentiated again


def gradalign(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    inner: Inner,
    attack,
    weight: float = 0.2,
) -> Tensor:
    """Give the loss on the attack's examples + weight * (1 - cos(gradient at x, gradient at x')).

    Source: Andriushchenko & Flammarion 2020, "Understanding and Improving Fast Adversarial
    Training"; x' is uniform in the linf ball of the attack's eps, and only its gradient is
    differentiated, as in the authors' code. Images [N, C, H, W], labels [N]. Departure: both
    gradients are taken in eval mode.
    """
    adversarial = cross_entropy(model(attack(images, labels)), labels)
    at_image = inner.gradient(images, lambda logits: _summed(logits, labels))
    moved = (images + inner.eps * uniform_like(images, generator)).requires_grad_()
    with in_eval_mode(model):
        loss = _summed(widened(model(moved)), labels)
    (at_moved,) = torch.autograd.grad(loss, moved, create_graph=True)
    cosines = cosine_similarity(at_image.flatten(1), widened(at_moved).flatten(1), eps=1e-12)
    return adversarial + weight * (1 - cosines.mean())


def _summed(logits: Tensor, labels: Tensor) -> Tensor:
    return cross_entropy(logits, labels, reduction="sum")
