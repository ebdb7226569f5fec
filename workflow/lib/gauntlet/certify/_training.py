"""Margins that an attack cannot lower, with gradients to the parameters: what certified training
raises."""

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gauntlet.certify._bounds import bound
from gauntlet.certify._margins import interval_margins, linear_margins
from gauntlet.certify._network import follow
from gauntlet.certify._region import region
from gauntlet.certify._symbols import Node


def certified_margins(model: nn.Module, images: Tensor, labels: Tensor, eps: float, share: float):
    """Give lower bounds [N, K - 1] of the margins in the linf ball of radius eps, cut by [0, 1].

    They are intervals' for a `share` of 0, linear functions' for 1, and a mixture between. Batch
    norm and dropout are taken as at evaluation.
    """
    found = bound(_followed(model, images.shape[1:]), region(images, "linf", eps), refine=False)
    if share == 0:
        return interval_margins(found, labels)
    linear = linear_margins(found, labels)
    return share * linear + (1 - share) * interval_margins(found, labels) if share < 1 else linear


def worst_case_loss(margins: Tensor) -> Tensor:
    """Give the mean cross-entropy of logits with margins [N, K - 1]."""
    logits = torch.cat([torch.zeros_like(margins[:, :1]), -margins], 1)
    return cross_entropy(logits, torch.zeros_like(logits[:, 0], dtype=torch.int64))


@lru_cache(maxsize=1)
def _followed(model: nn.Module, shape: tuple[int, ...]) -> list[Node]:
    first = next(model.parameters())
    return follow(model, torch.zeros(1, *shape, device=first.device, dtype=first.dtype))
