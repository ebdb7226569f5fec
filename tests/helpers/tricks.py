"""Tricks that make a model look robust, planted on a trained one; each is a callable model."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, one_hot, pad

THRESHOLDS = (0.2, 0.4, 0.6, 0.8)


class Trick(nn.Module):
    """A trained model with something before or after it."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model


class LoudLogits(Trick):
    """Logits times 1000: the cross-entropy underflows."""

    def forward(self, images: Tensor) -> Tensor:
        return 1000 * self.model(images)


class ColdSoftmax(Trick):
    """A softmax of low temperature at the output."""

    def forward(self, images: Tensor) -> Tensor:
        return (self.model(images) / 0.02).softmax(1)


class FewLevels(Trick):
    """The input rounded to 5 levels."""

    def forward(self, images: Tensor) -> Tensor:
        return self.model((images * 4).round() / 4)


class Thermometer(Trick):
    """The input as a thermometer code (Buckman et al. 2018), summed back to an image."""

    def forward(self, images: Tensor) -> Tensor:
        code = torch.stack([(images > threshold).float() for threshold in THRESHOLDS])
        return self.model(code.mean(0))


class OneHotLevels(Trick):
    """The input looked up by its level, as an embedding is: integers cut every gradient."""

    def forward(self, images: Tensor) -> Tensor:
        levels = torch.arange(5, device=images.device) / 4
        return self.model((one_hot((images * 4 + 0.5).long(), 5) * levels).sum(-1))


class RandomNoise(Trick):
    """Noise in the forward pass."""

    def forward(self, images: Tensor) -> Tensor:
        return self.model((images + 0.15 * torch.randn_like(images)).clamp(0, 1))


class RandomResize(Trick):
    """A random size and place for every batch (Xie et al. 2018)."""

    def forward(self, images: Tensor) -> Tensor:
        side = images.shape[-1]
        size = int(torch.randint(side - 1, side + 1, ()))
        room = side - size
        left, top = (int(torch.randint(0, room + 1, ())) for _ in range(2))
        small = interpolate(images, (size, size), mode="bilinear", align_corners=False)
        return self.model(pad(small, (left, room - left, top, room - top)))


class Detached(Trick):
    """A `detach` before the model."""

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images.detach())


class _SilentRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: Tensor) -> Tensor:
        return values.clamp(min=0)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return torch.zeros_like(gradient)


class _Silent(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        return _SilentRelu.apply(values)


class ZeroGradient(Trick):
    """Activations whose backward pass gives zeros."""

    def __init__(self, model: nn.Module):
        super().__init__(model)
        for parent in [module for module in model.modules() if not isinstance(module, nn.ReLU)]:
            for name, child in list(parent.named_children()):
                if isinstance(child, nn.ReLU):
                    setattr(parent, name, _Silent())

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images)


class OneHot(Trick):
    """Nothing but the class at the output: flat everywhere, with a gradient of zero."""

    def forward(self, images: Tensor) -> Tensor:
        logits = self.model(images)
        return one_hot(logits.argmax(1), logits.shape[1]).float() + 0 * logits


TRICKS = {
    "logits x1000": LoudLogits,
    "cold softmax": ColdSoftmax,
    "rounded input": FewLevels,
    "thermometer": Thermometer,
    "level lookup": OneHotLevels,
    "random noise": RandomNoise,
    "random resize": RandomResize,
    "detach": Detached,
    "zero gradient": ZeroGradient,
}
