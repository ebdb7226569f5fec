"""The images that an attacker may show, as linear bounds see them."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

DUAL = {"linf": 1.0, "l2": 2.0, "l1": float("inf")}
WIDER = 1 + 2e-6  # examples may lie outside their ball by rounding


@dataclass(frozen=True)
class Region:
    """Balls around images [N, C, H, W] with radii `eps` [N] in a norm, cut by the box [0, 1].

    With `cut` False the whole balls, of which an attacker may show less.
    """

    images: Tensor
    eps: Tensor
    norm: str
    cut: bool = True

    @property
    def box(self) -> tuple[Tensor, Tensor]:
        """Give the least and the largest value of each pixel."""
        reach = self._reach()
        if not self.cut:
            return self.images - reach, self.images + reach
        return (self.images - reach).clamp(min=0), (self.images + reach).clamp(max=1)

    def select(self, rows: Tensor) -> "Region":
        """Keep the named images only; one may be named often."""
        return replace(self, images=self.images[rows], eps=self.eps[rows])

    def whole(self) -> "Region":
        """Give the balls that are not cut to [0, 1]."""
        return replace(self, cut=False)

    def double(self) -> "Region":
        """Give the same region in float64."""
        return replace(self, images=self.images.double(), eps=self.eps.double())

    def least(self, rows: Tensor) -> Tensor:
        """Give a lower bound of rows [N, C, H, W] times any image of the region: [N]."""
        low, high = self.box
        within = (rows * ((low + high) / 2)).flatten(1).sum(1)
        within = within - (rows.abs() * ((high - low) / 2)).flatten(1).sum(1)
        if self.norm == "linf" or not rows.shape[1:].numel():
            return within
        length = torch.linalg.vector_norm(rows.flatten(1), DUAL[self.norm], dim=1)
        around = (rows * self.images).flatten(1).sum(1) - self.eps * WIDER * length
        return torch.maximum(within, around)

    def _reach(self) -> Tensor:
        return (self.eps * WIDER).view(-1, *[1] * (self.images.dim() - 1))


def region(images: Tensor, norm: str, eps: float | Tensor) -> Region:
    """Give the regions around images; `eps` is one radius, or one for each image [N]."""
    return Region(images, torch.zeros_like(images[:, 0, 0, 0]) + eps, norm)
