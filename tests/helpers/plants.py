"""More masks around a network of known strength: what the rerun must see through."""

import hashlib
import io

import torch
from PIL import Image
from torch import Tensor, nn

from tests.helpers.tricks import TRICKS, Detached, FewLevels, LoudLogits, OneHot, Trick


def replaced(model: nn.Module, make) -> nn.Module:
    """Replace every ReLU of a network."""
    for parent in [part for part in model.modules() if not isinstance(part, nn.ReLU)]:
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.ReLU):
                setattr(parent, name, make())
    return model


class MeanSparse(nn.Module):
    """Activations that are near their mean become it (after Amini et al. 2024)."""

    def forward(self, values: Tensor) -> Tensor:
        values = values.relu()
        dims = (2, 3) if values.dim() == 4 else (1,)
        mean, spread = values.mean(dims, keepdim=True), values.std(dims, keepdim=True)
        return torch.where((values - mean).abs() < 0.25 * spread, mean.expand_as(values), values)


class WinnersTakeAll(nn.Module):
    """The largest third of all activations stays, the rest is zero (after Xiao et al. 2020)."""

    def forward(self, values: Tensor) -> Tensor:
        flat = values.relu().flatten(1)
        least = flat.topk(max(1, flat.shape[1] // 3)).values[:, -1:]
        return (flat * (flat >= least).float()).view_as(values)


class ThroughPil(Trick):
    """The input written as a JPEG file by PIL, and read again."""

    def forward(self, images: Tensor) -> Tensor:
        return self.model(torch.stack([self._again(one) for one in images]))

    def _again(self, image: Tensor) -> Tensor:
        pixels = (image[0].detach().cpu().numpy() * 255).round().astype("uint8")
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=90)
        seen = Image.open(file)
        return torch.frombuffer(bytearray(seen.tobytes()), dtype=torch.uint8).view_as(image) / 255.0


class HashNoise(Trick):
    """Noise that depends on the image's bytes, so that it is the same each time."""

    def forward(self, images: Tensor) -> Tensor:
        noisy = []
        for one in images:
            digest = hashlib.sha256(one.detach().cpu().numpy().tobytes()).digest()
            draws = torch.Generator().manual_seed(int.from_bytes(digest[:6], "big"))
            noisy.append(one + 0.1 * torch.randn(one.shape, generator=draws))
        return self.model(torch.stack(noisy))


class _Negated(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: Tensor) -> Tensor:
        return values.clone()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return -gradient


class _Random(_Negated):
    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return torch.randn_like(gradient)


class NegatedBackward(Trick):
    """A backward pass that points the other way."""

    def forward(self, images: Tensor) -> Tensor:
        return self.model(_Negated.apply(images))


class RandomBackward(Trick):
    """A backward pass that points anywhere."""

    def forward(self, images: Tensor) -> Tensor:
        return self.model(_Random.apply(images))


class NegatedHook(Trick):
    """A hook that turns the gradient of the activations around."""

    def forward(self, images: Tensor) -> Tensor:
        moved = images.clone()
        if moved.requires_grad:
            moved.register_hook(torch.neg)
        return self.model(moved)


class HardMax(Trick):
    """Nothing but the class, found by comparison with the largest logit."""

    def forward(self, images: Tensor) -> Tensor:
        logits = self.model(images)
        return (logits == logits.amax(1, keepdim=True)).float()


class LabelOnly(Trick):
    """Nothing but the class, in an array that leaves PyTorch."""

    def forward(self, images: Tensor) -> Tensor:
        answers = self.model(images).argmax(1).detach().cpu().numpy()
        return torch.eye(10)[torch.from_numpy(answers)]


PLANTS = TRICKS | {
    "mean sparse": lambda model: replaced(model, MeanSparse),
    "winners take all": lambda model: replaced(model, WinnersTakeAll),
    "through PIL": ThroughPil,
    "hash noise": HashNoise,
    "negated backward": NegatedBackward,
    "random backward": RandomBackward,
    "negated hook": NegatedHook,
    "onehot": OneHot,
    "hard max": HardMax,
    "label only": LabelOnly,
    "levels and onehot": lambda model: OneHot(FewLevels(model)),
    "detach and loud": lambda model: LoudLogits(Detached(model)),
}
