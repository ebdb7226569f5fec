"""The batches of an epoch: which training images, and which further ones, come together."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from gauntlet.core.rng import generator


@dataclass
class Part:
    """Images [N, C, H, W] float32 in [0, 1] and labels [N] int64, on the device."""

    images: Tensor
    labels: Tensor


@dataclass
class Batch:
    """A batch before it is augmented; `rows` are the places of its own images in the part."""

    images: Tensor
    labels: Tensor
    rows: Tensor
    done: float  # share of the epoch that is over before it


def own_size(training: dict) -> int:
    """Give the number of images of the training part in a batch; the others are further ones."""
    if not training["extra"]:
        return training["batch"]
    size = training["batch"]
    return min(max(size - round(training["extra"]["share"] * size), 1), max(size - 1, 1))


def batches(
    part: Part, extra: Part | None, order: Tensor, spec: dict, epoch: int
) -> Iterator[Batch]:
    """Give the batches of an epoch in an order [N] of the part's images.

    The last batch may be smaller or one larger. Further images come in a new random order each
    epoch, and again from the first when all were shown.
    """
    size, count = own_size(spec["training"]), len(part.labels)
    further = 0 if extra is None else max(spec["training"]["batch"] - size, 1)
    mixed = further and torch.randperm(
        len(extra.labels), generator=generator(spec["seed"], "extra", epoch)
    )
    for number, rows in enumerate(split(order, size)):
        images, labels = part.images[rows], part.labels[rows]
        if further:
            places = mixed[(number * further + torch.arange(further)) % len(mixed)]
            places = places.to(images.device)
            images = torch.cat([images, extra.images[places]])
            labels = torch.cat([labels, extra.labels[places]])
        yield Batch(images, labels, rows, number * size / count)


def split(order: Tensor, size: int) -> list[Tensor]:
    """Cut an order into batches; a single image left over joins the last (batch norm needs two)."""
    parts = list(order.split(size))
    if size > 1 and len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts
