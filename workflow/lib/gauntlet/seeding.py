"""Random streams that belong to a purpose, never to the process."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def seed_for(seed: int, *purpose: object) -> int:
    """Derive a 63-bit seed from a user's seed and what the numbers are for."""
    text = repr((int(seed), *map(str, purpose))).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1


def generator(seed: int, *purpose: object) -> torch.Generator:
    """Give a fresh CPU generator: two purposes, or two seeds, share no stream.

    It lives on the CPU for every device, so that a GPU draws the same numbers.
    """
    return torch.Generator().manual_seed(seed_for(seed, *purpose))


def uniform_like(images: torch.Tensor, stream: torch.Generator) -> torch.Tensor:
    """Draw U(-1, 1) in the shape of images, from the stream, on the images' device."""
    draws = torch.rand(images.shape, generator=stream, dtype=torch.float32)
    return draws.mul_(2).sub_(1).to(images.device)


def normal_like(images: torch.Tensor, stream: torch.Generator) -> torch.Tensor:
    """Draw N(0, 1) in the shape of images, from the stream, on the images' device."""
    return torch.randn(images.shape, generator=stream, dtype=torch.float32).to(images.device)


@contextmanager
def fixed_draws(seed: int, *purpose: object) -> Iterator[None]:
    """Let a model that draws from the global stream draw the same for one seed and purpose."""
    with torch.random.fork_rng():
        torch.manual_seed(seed_for(seed, *purpose))
        yield
