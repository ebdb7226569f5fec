"""MTL-IBP: a sum of the attack's loss and that of interval bounds."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gauntlet.certify._training import certified_margins, worst_case_loss
from gauntlet.training.precision import widened

NEEDS_RAMP = True
FORWARDS = UPDATES = "3"


def mtl_ibp(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    attack: Callable[[Tensor, Tensor], Tensor],
    size: float,
    eps: float,
    alpha: float = 0.05,
) -> Tensor:
    """Give (1 - alpha) * cross-entropy(x') + alpha * cross-entropy of what intervals allow.

    Source: De Palma et al. 2024, "Expressive Losses for Verified Robustness via Convex
    Combinations". Images [N, C, H, W], labels [N]; `eps` is the radius of the bounds' linf ball,
    which grows by `size` over the ramp. Raises GauntletError for a layer that bounds do not know.
    A larger eps needs a larger `alpha` and a longer ramp. Departure: no regularization of the first
    epochs and no L1 term.
    """
    adversarial = cross_entropy(widened(model(attack(images, labels))), labels)
    margins = certified_margins(model, images, labels, eps * size, 0.0)
    return (1 - alpha) * adversarial + alpha * worst_case_loss(margins)
