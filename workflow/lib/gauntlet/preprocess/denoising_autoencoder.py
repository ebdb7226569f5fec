"""An autoencoder that has learned to take adversarial perturbations away."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, mse_loss

from gauntlet.core.progress import Progress
from gauntlet.preprocess.base.material import Material

FITTED = "examples"
MACS = "pixels * channels * 9 + 2 * places * channels ** 2 * 9 + places * channels * 9"
FITTING = "6 * epochs"


def denoising_autoencoder(
    shape: tuple[int, int, int],
    *,
    channels: int = 32,
    epochs: int = 40,
    batch: int = 64,
    learning_rate: float = 0.002,
) -> nn.Module:
    """Restore images [N, C, H, W] by an autoencoder of half the size inside.

    It is fitted on the training part to give the clean image, half of the time from its adversarial
    example against the model, half of the time from itself, by mean squared error and Adam. Source:
    Gu & Rigazio 2015, "Towards Deep Neural Network Architectures Robust to Adversarial Examples".
    Departure: values are not cut to [0, 1], which would hide gradients.
    """
    return _Autoencoder(shape[0], channels, (epochs, batch, learning_rate))


class _Autoencoder(nn.Module):
    def __init__(self, depth: int, channels: int, fitting: tuple[int, int, float]):
        super().__init__()
        self.fitting = fitting
        self.first = nn.Conv2d(depth, channels, 3, padding=1)
        self.code = nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1)
        self.back = nn.Conv2d(2 * channels, channels, 3, padding=1)
        self.last = nn.Conv2d(channels, depth, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        code = self.code(self.first(images).relu()).relu()
        wide = interpolate(code, size=images.shape[2:])
        return self.last(self.back(wide).relu())

    def fit(self, material: Material) -> dict:
        """Learn from clean and adversarial training images; gives the mean loss of each epoch."""
        epochs, batch, rate = self.fitting
        optimizer = torch.optim.Adam(self.parameters(), rate)
        progress, losses = Progress("epoch", epochs), []
        for epoch in range(1, epochs + 1):
            order = torch.randperm(len(material.images), generator=material.generator)
            total = 0.0
            for rows in order.to(material.images.device).split(batch):
                loss = self._loss(material.images[rows], material.hostile[rows])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                total += float(loss.detach()) * len(rows)
            losses.append(total / len(order))
            progress.done(epoch, f"loss {losses[-1]:.3g}")
        return {"losses": losses}

    def _loss(self, clean: Tensor, hostile: Tensor) -> Tensor:
        return (mse_loss(self(hostile), clean) + mse_loss(self(clean), clean)) / 2
