"""Attack and judge in micro-batches: what an attack gives is judged here, in float32."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy


@dataclass(frozen=True)
class Scores:
    """A model's word on images: predictions [N], losses [N], confidences [N], on the CPU."""

    prediction: Tensor
    loss: Tensor
    confidence: Tensor


@torch.no_grad()
def predict(model: nn.Module, images: Tensor, batch: int) -> Tensor:
    """Give the predicted classes [N] of images [N, C, H, W]."""
    return torch.cat([model(part).argmax(1) for part in images.split(batch)])


@torch.no_grad()
def score(model: nn.Module, images: Tensor, labels: Tensor, batch: int) -> Scores:
    """Score images [N, C, H, W] against labels [N], in float32."""
    parts = []
    for some, truth in zip(images.split(batch), labels.split(batch), strict=True):
        logits = model(some).float()
        confidence, prediction = logits.softmax(1).max(1)
        parts.append((prediction, cross_entropy(logits, truth, reduction="none"), confidence))
    return Scores(*(torch.cat(column).cpu() for column in zip(*parts, strict=True)))


def attack_in_batches(
    model: nn.Module,
    attack: Callable,
    images: Tensor,
    labels: Tensor,
    chosen: Tensor,
    stream: torch.Generator,
    batch: int,
    settings: dict | None = None,
) -> tuple[Tensor, Tensor]:
    """Attack the chosen images (bool [N]) in micro-batches of fixed size.

    Gives examples [N, C, H, W] (images not chosen stay as they are) and model passes [N].
    """
    examples, steps = images.clone(), torch.zeros_like(labels)
    for rows in chosen.nonzero().squeeze(1).split(batch):
        attempt = attack(model, images[rows], labels[rows], generator=stream, **(settings or {}))
        examples[rows], steps[rows] = attempt.images, attempt.steps
    return examples, steps
