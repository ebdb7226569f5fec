"""Whether a model from outside answers twice the same, and an image alone as among others."""

import torch
from torch import Tensor, nn

from gauntlet.core.errors import GauntletError
from gauntlet.models import evaluating

SAME = 1e-3  # of the largest logit: what another batch size may change by rounding stays below it
IMAGES = 8  # that are shown together, and one by one


def steadiness_warnings(model: nn.Module, images: Tensor, name: str) -> list[str]:
    """Say if a model's answers to images [N, C, H, W] are random.

    Raises GauntletError if an image's answer depends on the other images beside it, as that of
    batch norm in train mode does: then no number of single images can be told.
    """
    some = images[:IMAGES]
    with evaluating(model), torch.no_grad():
        before = {key: value.clone() for key, value in model.named_buffers()}
        first, second = model(some), model(some)
        moved = [key for key, value in model.named_buffers() if not _equal(value, before[key])]
        alone = torch.cat([model(image[None]) for image in some])
    if (random := _share(first, second)) > SAME:
        return [
            f"two passes over the same {len(some)} images differ by {random:.2g} of the largest "
            "logit: dropout is left in train mode, or the network is random by design, and then "
            "needs attacks that average gradients (samples of adaptive)"
        ]
    if (apart := _share(first, alone)) > SAME:
        cause = f" ({moved[0].removeprefix('network.')} changed meanwhile)" if moved else ""
        raise GauntletError(
            f"{name} answers an image otherwise alone than among {len(some)} images, by "
            f"{apart:.2g} of the largest logit{cause}: batch norm is in train mode; allowed is a "
            "network whose answers do not depend on the images beside one."
        )
    return []


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool(torch.equal(one, other))


def _share(one: Tensor, other: Tensor) -> float:
    """Give the largest difference as a share of the largest logit; 0 where it is no number."""
    largest = (one - other).abs().max() / one.abs().max().clamp(min=1e-12)
    return float(largest.nan_to_num(0.0, 0.0))
