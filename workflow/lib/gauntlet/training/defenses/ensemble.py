"""Ensemble adversarial training: examples of other models beside those of its own."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gauntlet.core.rng import draw_once

SOFT_LABELS = True
FORWARDS = UPDATES = "2"


def ensemble(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    attack: Callable[[Tensor, Tensor], Tensor],
    crafted: Tensor,
    clean_share: float = 0.5,
) -> Tensor:
    """Give the cross-entropy on clean images and on examples of a source drawn for the batch.

    Source: Tramer et al. 2018, "Ensemble Adversarial Training: Attacks and Defenses". The sources
    are this model, attacked now, and the S others whose examples `crafted` holds, [N, S, C, H, W]
    or [N, C, H, W] for one. `clean_share` in [0, 1) is the weight of the clean loss.
    """
    others = crafted[:, None] if crafted.dim() == images.dim() else crafted
    count = others.shape[1]
    chosen = int(draw_once(partial(torch.randint, count + 1), (1,), generator))
    examples = attack(images, labels) if chosen == count else others[:, chosen]
    clean = cross_entropy(model(images), labels)
    return clean_share * clean + (1 - clean_share) * cross_entropy(model(examples), labels)
