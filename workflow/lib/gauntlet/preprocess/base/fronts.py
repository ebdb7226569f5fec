"""A model with a step in front of it, as one model that is attacked and judged."""

import torch
from torch import Tensor, nn

from gauntlet.core.errors import GauntletError


class Defended(nn.Module):
    """A model that sees what a step makes of images: [N, C, H, W] in, logits [N, K] out."""

    def __init__(self, step: nn.Module, model: nn.Module):
        super().__init__()
        self.step, self.model = step, model

    def forward(self, images: Tensor) -> Tensor:
        made = self.step(images)
        if getattr(made, "shape", None) != images.shape:
            found = list(made.shape) if hasattr(made, "shape") else type(made).__name__
            raise GauntletError(
                f"The step {type(self.step).__name__} makes {found} of images of "
                f"{list(images.shape)}; allowed are images of the same shape."
            )
        return self.model(made)

    def against(self, label: int) -> nn.Module:
        """Give the model that an attack on images of one class is run on: this one."""
        return self


class Detector(nn.Module):
    """A step that changes nothing and may reject an image: it must have the method `excess`."""

    def excess(self, model: nn.Module, images: Tensor) -> Tensor:
        """Give a score [N] of images [N, C, H, W]; above 0 the image is rejected."""
        raise NotImplementedError


class Rejecting(nn.Module):
    """A model with a detector: logits [N, K + 1] out, the last class stands for a rejection.

    The last logit is the largest of the others plus the detector's excess, so that it wins exactly
    where an image is rejected (after Carlini & Wagner 2017, "Adversarial Examples Are Not Easily
    Detected").
    """

    def __init__(self, detector: Detector, model: nn.Module):
        super().__init__()
        self.step, self.model = detector, model

    def forward(self, images: Tensor) -> Tensor:
        logits = self.model(images)
        last = logits.amax(1) + self.step.excess(self.model, images)
        return torch.cat([logits, last[:, None]], 1)

    def against(self, label: int) -> nn.Module:
        """Give the model that an attack on images of one class is run on."""
        return _RejectedIsRight(self, label)


class _RejectedIsRight(nn.Module):
    """A model with a detector for images of one class, where a rejection counts as that class.

    Logits [N, K]: that of the true class is raised to the largest other one plus the excess. So the
    margin of the largest other class is the smaller of the model's own margin and of how far the
    image is from being rejected: an example succeeds only if it is misclassified and not rejected.
    """

    def __init__(self, rejecting: Rejecting, label: int):
        super().__init__()
        self.rejecting, self.label = rejecting, label

    def forward(self, images: Tensor) -> Tensor:
        model, detector = self.rejecting.model, self.rejecting.step
        logits = model(images)
        others = torch.cat([logits[:, : self.label], logits[:, self.label + 1 :]], 1)
        raised = others.amax(1) + detector.excess(model, images)
        truth = torch.maximum(logits[:, self.label], raised)
        return torch.cat([others[:, : self.label], truth[:, None], others[:, self.label :]], 1)


def front_of(step: nn.Module, model: nn.Module) -> Defended | Rejecting:
    """Put a step, or a detector, in front of a model."""
    return Rejecting(step, model) if isinstance(step, Detector) else Defended(step, model)
