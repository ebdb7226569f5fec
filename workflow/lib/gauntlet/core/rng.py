"""Random generators that belong to a purpose, never to the process."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch


def seed_for(seed: int, *purpose: object) -> int:
    """Derive a 63-bit seed from a user's seed and the purpose of the numbers."""
    text = repr((int(seed), *map(str, purpose))).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1


def generator(seed: int, *purpose: object) -> torch.Generator:
    """Give a fresh CPU generator: two purposes, or two seeds, share no stream.

    It lives on the CPU for every device, so that a GPU draws the same numbers.
    """
    return torch.Generator().manual_seed(seed_for(seed, *purpose))


class Shared:
    """A generator for a batch of `count` images, of which this process computes some rows.

    Each process draws for the whole batch, so that the numbers do not depend on which process
    computes which rows.
    """

    def __init__(self, whole: torch.Generator, rows: slice, count: int):
        self.whole, self.rows, self.count = whole, rows, count


def draw(make: Callable[..., torch.Tensor], shape, stream: torch.Generator | Shared):
    """Let `make(shape, generator=...)` draw for the images of a batch: [N, ...]."""
    if isinstance(stream, torch.Generator):
        return make(shape, generator=stream)
    drawn = make((stream.count, *shape[1:]), generator=stream.whole)[stream.rows]
    if drawn.shape[0] != shape[0]:
        raise ValueError(f"{shape[0]} images draw where the batch's part has {drawn.shape[0]}")
    return drawn


def draw_once(make: Callable[..., torch.Tensor], shape, stream: torch.Generator | Shared):
    """Let `make(shape, generator=...)` draw for the whole batch: the same in every process."""
    return make(shape, generator=stream if isinstance(stream, torch.Generator) else stream.whole)


def normal_like(images: torch.Tensor, stream: torch.Generator | Shared) -> torch.Tensor:
    """Draw N(0, 1) in the shape of images, from the stream, on the images' device."""
    return draw(torch.randn, images.shape, stream).to(images.device)


def uniform_like(images: torch.Tensor, stream: torch.Generator | Shared) -> torch.Tensor:
    """Draw U[-1, 1) in the shape of images, from the stream, on the images' device."""
    return draw(torch.rand, images.shape, stream).mul_(2).sub_(1).to(images.device)


@contextmanager
def fixed_draws(seed: int, *purpose: object) -> Iterator[None]:
    """Seed the global generator, from which a model may draw, for one seed and purpose."""
    with torch.random.fork_rng():
        torch.manual_seed(seed_for(seed, *purpose))
        yield
