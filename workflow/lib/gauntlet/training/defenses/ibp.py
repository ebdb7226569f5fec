"""Training on interval bounds."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gauntlet.certify._training import certified_margins, worst_case_loss

NEEDS_RAMP = True
FORWARDS = UPDATES = "3"


def ibp(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    size: float,
    eps: float,
    kappa: float = 0.5,
) -> Tensor:
    """Give k * cross-entropy + (1 - k) * cross-entropy of the worst case that intervals allow.

    Source: Gowal et al. 2018, "On the Effectiveness of Interval Bound Propagation for Training
    Verifiably Robust Models". Images [N, C, H, W], labels [N]; `eps` is the radius of a linf ball;
    while `size` grows from 0 to 1 over the ramp, eps grows from 0 and k falls from 1 to `kappa`.
    Raises GauntletError for a layer that bounds do not know.
    """
    clean = cross_entropy(model(images).float(), labels)
    kept = 1 - size * (1 - kappa)
    margins = certified_margins(model, images, labels, eps * size, 0.0)
    return kept * clean + (1 - kept) * worst_case_loss(margins)
