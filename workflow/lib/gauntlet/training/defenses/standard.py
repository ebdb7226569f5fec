"""Plain training: the baseline."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

SOFT_LABELS = True


def standard(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Give the cross-entropy on clean images [N, C, H, W] with labels [N].

    `label_smoothing` in [0, 1) spreads a share of each label over all classes.
    """
    return cross_entropy(model(images), labels, label_smoothing=label_smoothing)
