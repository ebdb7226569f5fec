"""Threat models: what an adversarial example may be, and who judges it.

Images are float32 in [0, 1], shape [N, C, H, W]; eps has the same unit. All attacks share
these hooks, and the judge of a result is here, in code that no attack owns.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from gauntlet import seeding

NORMS = ("linf", "l2")
SLACK = 1e-6  # relative to eps: what rounding to float32 may cost
TINY = 1e-12
INWARDS = 1 - 1e-12  # what float64 may lose in a norm


@dataclass(frozen=True)
class Attempt:
    """What an attack gives back: float32 images [N, C, H, W] and model passes used, int64 [N]."""

    images: Tensor
    steps: Tensor


def per_image(values: Tensor) -> Tensor:
    """Shape a value per image [N] so that it broadcasts over [N, C, H, W]."""
    return values.view(-1, 1, 1, 1)


def distance(examples: Tensor, images: Tensor, norm: str) -> Tensor:
    """Measure each example's distance from its image in float64: float64 [N]."""
    difference = (examples.double() - images.double()).flatten(1)
    order = {"linf": float("inf"), "l2": 2}[norm]
    return torch.linalg.vector_norm(difference, order, dim=1)


class LinfBall:
    """The box around each image, cut to [0, 1]; its faces are rounded inwards in float32."""

    def __init__(self, images: Tensor, eps: float):
        wide = images.double()
        self.images, self.eps = images, eps
        self.low = _round_towards(wide - eps, images).clamp_(min=0)
        self.high = _round_towards(wide + eps, images).clamp_(max=1)

    def select(self, rows: Tensor) -> "LinfBall":
        """Keep the named rows only."""
        part = object.__new__(LinfBall)
        part.images, part.eps = self.images[rows], self.eps
        part.low, part.high = self.low[rows], self.high[rows]
        return part

    def project(self, examples: Tensor) -> Tensor:
        """Give the nearest point inside the ball and inside [0, 1]."""
        return torch.minimum(torch.maximum(examples, self.low), self.high)

    def random_start(self, stream: torch.Generator) -> Tensor:
        """Draw uniformly from the ball, then cut to [0, 1]."""
        noise = seeding.uniform_like(self.images, stream)
        return self.project(self.images + self.eps * noise)

    def ascend(self, examples: Tensor, gradient: Tensor, step: float) -> Tensor:
        """Take the steepest step of the given length and come back into the ball."""
        return self.project(examples + step * gradient.sign())


class L2Ball:
    """The Euclidean ball around each image, cut to [0, 1]."""

    def __init__(self, images: Tensor, eps: float):
        self.images, self.eps = images, eps

    def select(self, rows: Tensor) -> "L2Ball":
        """Keep the named rows only."""
        return L2Ball(self.images[rows], self.eps)

    def project(self, examples: Tensor) -> Tensor:
        """Shrink the perturbation to eps; every pixel is rounded towards its image's."""
        wide, inside = self.images.double(), examples.clamp(0, 1)
        offset = inside.double() - wide
        norms = torch.linalg.vector_norm(offset.flatten(1), dim=1)
        factor = per_image(self.eps * INWARDS / norms.clamp(min=TINY))
        shrunk = _round_towards(wide + factor * offset, self.images)
        return torch.where(per_image(norms > self.eps), shrunk, inside)

    def random_start(self, stream: torch.Generator) -> Tensor:
        """Draw a direction uniformly and a radius as in a ball of this dimension."""
        direction = seeding.normal_like(self.images, stream)
        norms = direction.flatten(1).norm(dim=1).clamp(min=TINY)
        dimension = self.images[0].numel()
        share = torch.rand(len(norms), generator=stream).to(norms.device) ** (1 / dimension)
        return self.project(self.images + direction * per_image(self.eps * share / norms))

    def ascend(self, examples: Tensor, gradient: Tensor, step: float) -> Tensor:
        """Take a step of the given length along each image's normalised gradient."""
        norms = gradient.flatten(1).norm(dim=1).clamp(min=TINY)
        return self.project(examples + gradient * per_image(step / norms))


def ball(images: Tensor, norm: str, eps: float) -> LinfBall | L2Ball:
    """Make the ball of radius eps around each image.

    Raises ValueError for a norm that is not one of NORMS or a negative eps.
    """
    if norm not in NORMS:
        raise ValueError(f"norm is {norm!r}; allowed are {', '.join(NORMS)}")
    if not eps >= 0:
        raise ValueError(f"eps is {eps!r}; it must be 0 or more")
    return LinfBall(images, eps) if norm == "linf" else L2Ball(images, eps)


def admissible(examples: Tensor, images: Tensor, norm: str, eps: float) -> Tensor:
    """Say which examples are finite, in [0, 1] and, for a norm of NORMS, in the ball: bool [N]."""
    flat = examples.flatten(1)
    fine = (flat.isfinite() & (flat >= 0) & (flat <= 1)).all(dim=1)
    if norm in NORMS:
        fine &= distance(examples, images, norm) <= eps * (1 + SLACK)
    return fine


def _round_towards(wide: Tensor, images: Tensor) -> Tensor:
    """Round float64 bounds to float32, never further from the image than they were."""
    narrow = wide.float()
    beyond = (narrow.double() - images.double()).abs() > (wide - images.double()).abs()
    return torch.where(beyond, torch.nextafter(narrow, images), narrow)
