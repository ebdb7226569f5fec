"""Any classifier of torchvision.models, by its name there."""

import torch
from torch import nn

from gauntlet.core.errors import GauntletError


def torchvision(shape: tuple[int, int, int], classes: int, *, name: str) -> nn.Module:
    """Build torchvision's classifier `name` with fresh weights for images of `shape` (C, H, W).

    Images of one channel are repeated to the three that these networks take. Raises GauntletError
    for a name that torchvision has no classifier of, or an image size that the network cannot take.
    """
    from torchvision import models

    known = [key for key in models.list_models(module=models)]
    if name not in known:
        raise GauntletError(
            f"name is '{name}', which is no classifier of torchvision.models; "
            f"known are for example {', '.join(_nearest(name, known))}."
        )
    extra = {"aux_logits": False} if name in ("googlenet", "inception_v3") else {}
    network = models.get_model(name, weights=None, num_classes=classes, **extra)
    network = nn.Sequential(ToColor(), network) if shape[0] == 1 else network
    _try(network, shape, name)
    return network


class ToColor(nn.Module):
    """Repeat a grey channel three times."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.expand(-1, 3, -1, -1)


def _try(network: nn.Module, shape: tuple[int, int, int], name: str) -> None:
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, *shape))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise GauntletError(
            f"torchvision's {name} cannot take images of {shape[1]}x{shape[2]} ({error}); "
            f"use larger images or another network."
        ) from error
    network.train()


def _nearest(name: str, known: list[str]) -> list[str]:
    from difflib import get_close_matches

    return get_close_matches(name, known, 3, 0.3) or known[:3]
