"""What a model says of images, in float32: the judge of whatever an attack gives."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gauntlet.lens import look


@dataclass(frozen=True)
class Scores:
    """A model's word on images: predictions [N], losses [N], confidences [N], on the CPU."""

    prediction: Tensor
    loss: Tensor
    confidence: Tensor


def predict(model, images: Tensor) -> Tensor:
    """Give the predicted classes [N] of images [N, C, H, W]."""
    return look(model)(images).argmax(1)


@torch.no_grad()
def score(model, images: Tensor, labels: Tensor) -> Scores:
    """Score images [N, C, H, W] against labels [N], in float32."""
    logits = look(model)(images)
    confidence, prediction = logits.softmax(1).max(1)
    losses = cross_entropy(logits, labels, reduction="none")
    return Scores(prediction.cpu(), losses.cpu(), confidence.cpu())
