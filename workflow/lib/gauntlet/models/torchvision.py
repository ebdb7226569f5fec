"""Any classifier of torchvision.models, by its name there."""

import torch
from torch import nn

from gauntlet.core.errors import GauntletError
from gauntlet.models import Classifier, bare_network

# Networks at 224x224x3: millions of multiply-adds, parameters and values that layers give.
COST_AT_224 = {
    "alexnet": (714, 61, 1),
    "convnext_tiny": (4456, 29, 26),
    "densenet121": (2834, 8, 34),
    "efficientnet_b0": (386, 5, 27),
    "googlenet": (1498, 7, 13),
    "mobilenet_v2": (301, 4, 27),
    "mobilenet_v3_large": (217, 5, 14),
    "resnet18": (1814, 12, 10),
    "resnet34": (3664, 22, 15),
    "resnet50": (4089, 26, 44),
    "resnet101": (7801, 45, 65),
    "swin_t": (4491, 28, 50),
    "vgg11": (7609, 133, 29),
    "vgg16": (15470, 138, 54),
    "vit_b_16": (17564, 87, 60),
    "wide_resnet50_2": (11398, 69, 55),
}


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


def start_from(model: Classifier, settings: dict, weights: str | None, path: str) -> bool:
    """Put pretrained weights of a file into a model that is to be trained.

    `weights` is torchvision's name for them, and the model takes their normalization; None for a
    file of the user's own. Tells whether the model has a normalization. Raises GauntletError for a
    file of another network.
    """
    from gauntlet.models.external import pretrained

    network = bare_network(model, settings)
    inner = network[1] if isinstance(network, nn.Sequential) and _is_gray(network) else network
    pretrained.load_pretrained(inner, settings["name"], path)
    if weights is not None:
        known = pretrained.published(settings["name"], weights)
        pretrained.normalize_as_published(model.mean, model.std, known)
    return weights is not None or "mean" in settings


def _is_gray(network: nn.Sequential) -> bool:
    return isinstance(network[0], ToColor)


class ToColor(nn.Module):
    """Repeat a gray channel three times."""

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
