"""Adversarial training with any attack inside."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

SOFT_LABELS = True
FORWARDS = UPDATES = "2 if clean_share else 1"


def adversarial(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    attack: Callable[[Tensor, Tensor], Tensor],
    clean_share: float = 0.0,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Give the cross-entropy on examples made anew against the current weights.

    Sources: Madry et al. 2018 (PGD inside); Wong et al. 2020 (FGSM with random start inside).
    `clean_share` in [0, 1] is the weight of the loss on the clean images [N, C, H, W];
    `label_smoothing` in [0, 1) spreads a share of each label over all classes.
    """
    loss = partial(cross_entropy, target=labels, label_smoothing=label_smoothing)
    if clean_share == 1:
        return loss(model(images))
    adversarial_loss = loss(model(attack(images, labels)))
    if clean_share == 0:
        return adversarial_loss
    return clean_share * loss(model(images)) + (1 - clean_share) * adversarial_loss
