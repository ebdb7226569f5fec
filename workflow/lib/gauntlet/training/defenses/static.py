"""Training on clean images and on examples that were made beforehand, against another model."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

SOFT_LABELS = True
FORWARDS = UPDATES = "2"


def static(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    crafted: Tensor,
    clean_share: float = 0.5,
) -> Tensor:
    """Give the cross-entropy on clean images and on `crafted`, both [N, C, H, W], labels [N].

    `crafted` are these images' examples from the files of craft_examples; `clean_share` in [0, 1]
    is the weight of the clean loss. The examples never answer to this model: a known weak defense.
    """
    clean = cross_entropy(model(images), labels)
    return clean_share * clean + (1 - clean_share) * cross_entropy(model(crafted), labels)
