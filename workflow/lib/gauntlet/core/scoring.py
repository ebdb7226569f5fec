"""A model's predictions, losses and confidences in float32, by which examples are judged."""

import logging
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gauntlet.core.batched_model import BatchedModel, as_batched

logger = logging.getLogger(__name__)

PROBABILITIES = "outputs are probabilities, not logits"
CLOSE = 1e-4  # outputs whose sum is this near to 1 count as probabilities


@dataclass(frozen=True)
class Scores:
    """A model's answers on images: predictions [N], losses [N], confidences [N], on the CPU."""

    prediction: Tensor
    loss: Tensor
    confidence: Tensor


def predict(model, images: Tensor) -> Tensor:
    """Give the predicted classes [N] of images [N, C, H, W]."""
    return as_batched(model)(images).argmax(1)


@torch.no_grad()
def score(model, images: Tensor, labels: Tensor) -> Scores:
    """Score images [N, C, H, W] against labels [N], in float32."""
    logits = as_batched(model)(images)
    confidence, prediction = logits.softmax(1).max(1)
    losses = cross_entropy(logits, labels, reduction="none")
    return Scores(prediction.cpu(), losses.cpu(), confidence.cpu())


def outputs_note(batched: BatchedModel, images: Tensor) -> str:
    """Say whether the outputs are probabilities: losses on logits then have useless gradients."""
    logits = batched(images[: batched.batch])
    positive = bool((logits >= 0).all())
    if positive and bool(((logits.sum(1) - 1).abs() < CLOSE).all()):
        logger.warning("the model's %s: attacks are weaker on it than they could be", PROBABILITIES)
        return PROBABILITIES
    return ""
