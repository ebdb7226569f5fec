"""Training on linear bounds first, on interval bounds in the end."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gauntlet.certify._training import certified_margins, worst_case_loss

NEEDS_RAMP = True
FORWARDS = UPDATES = "3 + round(ramp * classes)"


def crown_ibp(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    size: float,
    eps: float,
    kappa: float = 0.0,
) -> Tensor:
    """Give k * cross-entropy + (1 - k) * cross-entropy of the worst case that both bounds allow.

    Source: Zhang et al. 2020, "Towards Stable and Efficient Training of Verifiably Robust Neural
    Networks": margins are b * CROWN's + (1 - b) * intervals', inner layers have intervals, and b
    falls from 1 to 0 over the ramp. Images [N, C, H, W], labels [N]; `eps` is the radius of a linf
    ball; while `size` grows from 0 to 1, eps grows from 0 and k falls from 1 to `kappa`.
    Raises GauntletError for a layer that bounds do not know.
    """
    clean = cross_entropy(model(images).float(), labels)
    kept = 1 - size * (1 - kappa)
    margins = certified_margins(model, images, labels, eps * size, 1 - size)
    return kept * clean + (1 - kept) * worst_case_loss(margins)
