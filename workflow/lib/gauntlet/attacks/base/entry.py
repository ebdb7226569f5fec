"""The entry of every attack: inputs are checked once, PyTorch's global settings are replaced."""

import sys
from collections.abc import Callable
from functools import wraps

import torch
from torch import Tensor

from gauntlet.core.errors import GauntletError
from gauntlet.core.image_rng import Streams
from gauntlet.core.inputs import checked_images, checked_labels, checked_model, own_settings
from gauntlet.core.threat_models import AttackResult


def attack(function: Callable) -> Callable:
    """Make a function an attack: `(model, images, labels, *, streams, **settings)`.

    It gets images float32 [N, C, H, W] in [0, 1] without a graph, labels int64 [N] and a
    BatchedModel in eval mode; without `streams`, those of seed 0. No images give an empty result.
    With `early_stop=False`, labels may be probabilities [N, K]. Raises GauntletError, a ValueError,
    for inputs that are none of these; `core.inputs` says which.
    """
    if hasattr(function, "checks_inputs"):
        return function

    @wraps(function)
    def checked(model, images: Tensor, labels: Tensor, *, streams: Streams | None = None, **given):
        with own_settings(model, getattr(images, "device", "cpu")):
            images = checked_images(images)
            labels = checked_labels(labels, images, given.get("early_stop") is False)
            batched = checked_model(model, labels)
            if len(images) == 0:
                return _nothing(function, images, given)
            streams = _streams(streams, len(images))
            return function(batched, images, labels, streams=streams, **given)

    checked.checks_inputs = True
    return checked


def _streams(streams: Streams | None, count: int) -> Streams:
    if streams is None:
        return Streams.of_images(0, range(count))
    if len(streams) != count:
        raise GauntletError(
            f"There are {len(streams)} streams for {count} images; give one for each image."
        )
    return streams


def _nothing(function: Callable, images: Tensor, settings: dict) -> AttackResult:
    """Give the result of no images, in the attack's own form."""
    none = torch.zeros(0, dtype=torch.int64, device=images.device)
    members = getattr(sys.modules[function.__module__], "members", None)
    found = [none.clone() for _ in range(3)]
    if members is None:
        return AttackResult(images.clone(), *found)
    return AttackResult(images.clone(), *found, none.clone(), tuple(members(settings)))
