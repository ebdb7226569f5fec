"""CC-IBP: one loss of margins between those of an attack and those of interval bounds."""

from collections.abc import Callable

import torch
from torch import Tensor

from gauntlet.certify._margins import contrasts
from gauntlet.certify._training import certified_margins, worst_case_loss
from gauntlet.training.precision import widened

NEEDS_RAMP = True
FORWARDS = UPDATES = "3"


def cc_ibp(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    attack: Callable[[Tensor, Tensor], Tensor],
    size: float,
    eps: float,
    alpha: float = 0.1,
) -> Tensor:
    """Give the cross-entropy of the margins (1 - alpha) * attack's + alpha * intervals'.

    Source: De Palma et al. 2024, "Expressive Losses for Verified Robustness via Convex
    Combinations". Images [N, C, H, W], labels [N]; `eps` is the radius of the bounds' linf ball,
    which grows by `size` over the ramp. Raises GauntletError for a layer that bounds do not know.
    A larger eps needs a larger `alpha` and a longer ramp. Departure: no regularization of the first
    epochs and no L1 term.
    """
    logits = widened(model(attack(images, labels)))
    rows = contrasts(labels, logits.shape[1], logits.dtype)
    reached = (rows @ logits[:, :, None]).squeeze(2)
    margins = certified_margins(model, images, labels, eps * size, 0.0)
    return worst_case_loss((1 - alpha) * reached + alpha * margins)
