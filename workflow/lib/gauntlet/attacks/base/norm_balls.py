"""The balls that attacks move in: one class per norm, with the three operations that differ.

Every ball holds images [N, C, H, W] float32 in [0, 1] and a radius `eps`, one for all or one per
image [N]; it is cut to [0, 1]. `project` gives points that lie inside in float32, rounding
included; `random_start` draws points inside; `ascend` takes a step along a gradient, of one length
for all or one per image [N], and projects.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from gauntlet.attacks.base.gradients import unit
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import NORMS, per_image, round_towards

TINY = 1e-12
INWARDS = 1 - 1e-12  # a margin for the rounding of a norm in float64
HALVINGS = 30  # of the interval in which the threshold of a projection is searched
EDGE = 1e-6  # share of the steepest value below which a coordinate counts as steep too


@dataclass(frozen=True)
class LinfBall:
    """The box around each image, from `low` to `high` [N, C, H, W], rounded inwards in float32."""

    images: Tensor
    eps: float | Tensor
    low: Tensor
    high: Tensor
    norm = "linf"

    @classmethod
    def around(cls, images: Tensor, eps: float | Tensor) -> "LinfBall":
        """Make the boxes of radius eps around images."""
        wide, radius = images.double(), per_image(eps) if isinstance(eps, Tensor) else eps
        low = round_towards(wide - radius, images).clamp_(min=0)
        high = round_towards(wide + radius, images).clamp_(max=1)
        return cls(images, eps, low, high)

    def select(self, rows: Tensor) -> "LinfBall":
        """Keep the named rows only."""
        return LinfBall(
            self.images[rows], _select_eps(self.eps, rows), self.low[rows], self.high[rows]
        )

    def project(self, examples: Tensor) -> Tensor:
        """Give the nearest point inside the ball and inside [0, 1]."""
        return torch.minimum(torch.maximum(examples, self.low), self.high)

    def random_start(self, streams: Streams) -> Tensor:
        """Draw uniformly from the ball, then cut to [0, 1]."""
        noise = streams.uniform(*self.images.shape[1:], device=self.images.device)
        return self.project(self.images + _radii(self.eps) * noise.mul_(2).sub_(1))

    def ascend(self, examples: Tensor, gradient: Tensor, step: float | Tensor) -> Tensor:
        """Take the steepest step of the given length and come back into the ball."""
        return self.project(examples + _radii(step) * gradient.sign())


@dataclass(frozen=True)
class L2Ball:
    """The Euclidean ball around each image."""

    images: Tensor
    eps: float | Tensor
    norm = "l2"

    @classmethod
    def around(cls, images: Tensor, eps: float | Tensor) -> "L2Ball":
        """Make the balls of radius eps around images."""
        return cls(images, eps)

    def select(self, rows: Tensor) -> "L2Ball":
        """Keep the named rows only."""
        return L2Ball(self.images[rows], _select_eps(self.eps, rows))

    def project(self, examples: Tensor) -> Tensor:
        """Shrink the perturbation to eps; every pixel is rounded towards its image's."""
        return _shrunk(examples.clamp(0, 1), self.images, self.eps, 2)

    def random_start(self, streams: Streams) -> Tensor:
        """Draw uniformly from the ball: a direction, and a radius for this dimension."""
        device, shape = self.images.device, self.images.shape[1:]
        direction = streams.normal(*shape, device=device)
        norms = direction.flatten(1).norm(dim=1).clamp(min=TINY)
        share = streams.fork("share").uniform(device=device) ** (1 / shape.numel())
        return self.project(self.images + direction * per_image(self.eps * share / norms))

    def ascend(self, examples: Tensor, gradient: Tensor, step: float | Tensor) -> Tensor:
        """Take a step of the given length along each image's normalized gradient."""
        return self.project(examples + _radii(step) * unit(gradient))


@dataclass(frozen=True)
class L1Ball:
    """The ball of changes whose absolute values sum to eps, cut to [0, 1] exactly.

    Source: Croce & Hein 2021, "Mind the Box: l1-APGD for Sparse Adversarial Attacks on Image
    Classifiers", whose projection onto the ball and the box together this is; the threshold is
    found by halving an interval, not by sorting.
    """

    images: Tensor
    eps: float | Tensor
    norm = "l1"

    @classmethod
    def around(cls, images: Tensor, eps: float | Tensor) -> "L1Ball":
        """Make the balls of radius eps around images."""
        return cls(images, eps)

    def select(self, rows: Tensor) -> "L1Ball":
        """Keep the named rows only."""
        return L1Ball(self.images[rows], _select_eps(self.eps, rows))

    def project(self, examples: Tensor) -> Tensor:
        """Give the nearest point inside the ball and inside [0, 1]."""
        offset = (examples - self.images).flatten(1).double()
        base = self.images.flatten(1).double()
        room = torch.where(offset > 0, 1 - base, base)
        size, radius = offset.abs(), self.eps
        outside = torch.minimum(size, room).sum(1) > radius
        cut = torch.where(outside, _threshold(size, room, radius), 0.0)
        kept = torch.minimum((size - cut[:, None]).clamp(min=0), room) * offset.sign()
        moved = (base + kept).view_as(self.images).clamp(0, 1)
        return _shrunk(moved, self.images, radius, 1)

    def random_start(self, streams: Streams) -> Tensor:
        """Draw a change whose absolute values, with the rest of eps, are uniform on the simplex."""
        device, shape = self.images.device, self.images.shape[1:]
        sizes = -torch.log1p(-streams.fork("sizes").uniform(shape.numel() + 1, device=device))
        share = (sizes / sizes.sum(1, keepdim=True))[:, :-1].view_as(self.images)
        signs = streams.fork("signs").integers(2, *shape, device=device) * 2 - 1
        return self.project(self.images + _radii(self.eps) * share * signs)

    def ascend(self, examples: Tensor, gradient: Tensor, step: float | Tensor) -> Tensor:
        """Take a step of the given length along the steepest coordinates that can still move."""
        free = torch.where(gradient > 0, examples < 1, examples > 0)
        slope = (gradient * free).flatten(1)
        top = slope.abs().amax(1, keepdim=True)
        steep = slope.sign() * (slope.abs() >= top * (1 - EDGE)) * (top > 0)
        share = steep / steep.abs().sum(1, keepdim=True).clamp(min=1)
        return self.project(examples + _radii(step) * share.view_as(examples))


BALLS = {"linf": LinfBall, "l2": L2Ball, "l1": L1Ball}
Ball = LinfBall | L2Ball | L1Ball


def ball(images: Tensor, norm: str, eps: float) -> Ball:
    """Make the ball of radius eps around each image.

    Raises ValueError for a norm that is not one of NORMS or a negative eps.
    """
    if norm not in NORMS:
        raise ValueError(f"norm is {norm!r}; allowed are {', '.join(NORMS)}")
    if not eps >= 0:
        raise ValueError(f"eps is {eps!r}; it must be 0 or more")
    return BALLS[norm].around(images, eps)


def balls(images: Tensor, norm: str, radii: Tensor) -> Ball:
    """Make a ball around each image with a radius of its own: radii [N]."""
    return BALLS[norm].around(images, radii)


def _select_eps(eps: float | Tensor, rows: Tensor) -> float | Tensor:
    return eps[rows] if isinstance(eps, Tensor) else eps


def _radii(eps: float | Tensor) -> float | Tensor:
    return per_image(eps).float() if isinstance(eps, Tensor) else eps


def _shrunk(inside: Tensor, images: Tensor, eps: float | Tensor, order: int) -> Tensor:
    """Pull points of [0, 1] towards their images until they are in the ball, in float32."""
    wide = images.double()
    offset = inside.double() - wide
    norms = torch.linalg.vector_norm(offset.flatten(1), order, dim=1)
    factor = per_image(eps * INWARDS / norms.clamp(min=TINY))
    kept = torch.where(per_image(norms > eps), factor, 1.0)
    return round_towards(wide + kept * offset, images)


def _threshold(size: Tensor, room: Tensor, eps: float | Tensor) -> Tensor:
    """Find what to subtract from every size [N, D] so that, cut to its room, they sum to eps: [N].

    The sum is piecewise linear in the threshold and falls with it: the halvings find the piece,
    and the last step solves exactly on it.
    """
    low, high = torch.zeros_like(size[:, 0]), size.amax(1)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = torch.minimum((size - middle[:, None]).clamp_(min=0), room).sum(1) > eps
        low, high = torch.where(above, middle, low), torch.where(above, high, middle)
    sliding = (size > high[:, None]) & (size - high[:, None] < room)
    total = torch.minimum((size - high[:, None]).clamp_(min=0), room).sum(1)
    return (high - (eps - total) / sliding.sum(1).clamp(min=1)).clamp(min=0)
