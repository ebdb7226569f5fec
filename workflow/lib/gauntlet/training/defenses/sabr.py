"""SABR: interval bounds of a small box around an adversarial example."""

from collections.abc import Callable

import torch
from torch import Tensor

from gauntlet.certify._training import certified_margins, worst_case_loss

NEEDS_RAMP = True
FORWARDS = UPDATES = "2"


def sabr(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    attack: Callable[[Tensor, Tensor], Tensor],
    size: float,
    eps: float,
    ratio: float = 0.4,
) -> Tensor:
    """Give the cross-entropy of what intervals allow in a small box inside the ball.

    Source: Mueller et al. 2023, "Certified Training: Small Boxes are All You Need": the box has the
    radius `ratio` * eps and lies around the attack's example, moved so far that it stays in the
    linf ball of radius `eps`, which grows by `size` over the ramp. Images [N, C, H, W], labels [N].
    Raises GauntletError for a layer that bounds do not know. Departure: no regularization of the
    first epochs and no L1 term.
    """
    radius = ratio * eps * size
    reach = eps * size - radius
    examples = attack(images, labels)
    centers = torch.minimum(torch.maximum(examples, images - reach), images + reach)
    margins = certified_margins(model, centers.clamp(0, 1), labels, radius, 0.0)
    return worst_case_loss(margins)
