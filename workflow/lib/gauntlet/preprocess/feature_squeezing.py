"""Feature squeezing: an image is rejected if the model's answer changes when it is squeezed."""

import torch
from torch import Tensor, nn

from gauntlet.preprocess.base.filters import median, rounded
from gauntlet.preprocess.base.fronts import Detector
from gauntlet.preprocess.base.material import Material

GRADIENT, FITTED = "straight_through", "images"
MACS = "2 * network + 8 * window ** 2 * pixels"
FITTING = "1"
PART = 256  # validation images at a time


def feature_squeezing(
    shape: tuple[int, int, int], *, bits: int = 3, window: int = 2, rate: float = 0.05
) -> nn.Module:
    """Reject an image [C, H, W] whose probabilities change too much with less detail.

    The score is the larger l1 distance between the model's probabilities of the image and of the
    image with 2 ** `bits` levels, or after a median filter of `window` pixels (1: without). `rate`
    is the share of clean validation images that the threshold rejects.

    Robust accuracy with rejection: an adversarial example that is rejected counts as defended, and
    so does one that gets its label; a clean image that is rejected counts as an error, with and
    without an attack. An adaptive attack goes through model and score at once, and takes rounding
    as if it changed nothing. Source: Xu et al. 2018, "Feature Squeezing: Detecting Adversarial
    Examples in Deep Neural Networks".
    """
    return _FeatureSqueezing(bits, window, rate)


class _FeatureSqueezing(Detector):
    def __init__(self, bits: int, window: int, rate: float):
        super().__init__()
        self.bits, self.window, self.rate = bits, window, rate
        self.register_buffer("threshold", torch.zeros(()))

    def excess(self, model: nn.Module, images: Tensor) -> Tensor:
        """Give the score [N] less the threshold."""
        plain = model(images).softmax(1)
        squeezed = (rounded(images, self.bits), median(images, self.window))
        changes = [(plain - model(other).softmax(1)).abs().sum(1) for other in squeezed]
        return torch.maximum(*changes) - self.threshold

    @torch.no_grad()
    def fit(self, material: Material) -> dict:
        """Choose the threshold on clean validation images."""
        self.threshold.zero_()
        parts = material.validation.split(PART)
        scores = torch.cat([self.excess(material.model, part) for part in parts])
        self.threshold.copy_(scores.quantile(1 - self.rate))
        rejected = float((scores > self.threshold).float().mean())
        return {"threshold": float(self.threshold), "rejected_validation": rejected}
