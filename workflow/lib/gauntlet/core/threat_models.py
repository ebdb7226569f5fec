"""Threat models: what an adversarial example may be, and the functions that judge it.

Images are float32 in [0, 1], shape [N, C, H, W]; eps has the same unit. Results are
judged here, in code that belongs to no attack; the balls that attacks move in are in
`attacks.base.norm_balls`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from gauntlet.core.plugin_facts import facts
from gauntlet.core.tolerance import SLACK

NORMS = ("linf", "l2", "l1")
ORDERS = {"linf": float("inf"), "l2": 2, "l1": 1}


@dataclass(frozen=True)
class AttackResult:
    """What an attack gives back, and what it cost; counts are int64 [N], one per image.

    `images` [N, C, H, W] float32; `forwards` and `backwards` are passes through the model;
    `success_query` is the forward pass that found the example (0 where there is none). `success_by`
    of an ensemble is the place of the member, in `members`, that found it (-1 where none did).
    """

    images: Tensor
    forwards: Tensor
    backwards: Tensor
    success_query: Tensor
    success_by: Tensor | None = None
    members: tuple[str, ...] = ()


def per_image(values: Tensor) -> Tensor:
    """Shape a value per image [N] so that it broadcasts over [N, C, H, W]."""
    return values.view(-1, 1, 1, 1)


def distance(examples: Tensor, images: Tensor, norm: str) -> Tensor:
    """Measure each example's distance from its image in float64: float64 [N]."""
    difference = (examples.double() - images.double()).flatten(1)
    return torch.linalg.vector_norm(difference, ORDERS[norm], dim=1)


def admissible(examples: Tensor, images: Tensor, norm: str, eps: float) -> Tensor:
    """Say which examples are finite, in [0, 1] and, for a norm of NORMS, in the ball: bool [N]."""
    flat = examples.flatten(1)
    fine = (flat.isfinite() & (flat >= 0) & (flat <= 1)).all(dim=1)
    if norm in NORMS:
        fine &= distance(examples, images, norm) <= eps * (1 + SLACK)
    return fine


def round_towards(wide: Tensor, images: Tensor) -> Tensor:
    """Round float64 values to float32, never further from the image than they were."""
    narrow = wide.float()
    beyond = (narrow.double() - images.double()).abs() > (wide - images.double()).abs()
    return torch.where(beyond, torch.nextafter(narrow, images), narrow)


def extent(point: dict) -> tuple[str, float]:
    """Give the threat model of an attack's point: norm and eps, or what stands for them."""
    if "norm" in point:
        return point["norm"], point["eps"]
    known = facts("attacks", point["kind"])
    return known.get("THREAT"), point[known.get("SIZE")]
