"""One random stream per image: its numbers depend on nothing but the image and a key."""

import hashlib
from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor

from gauntlet.core.rng import Shared, draw, seed_for

GOLDEN = -7046029254386353131  # 2^64 divided by the golden ratio, odd, as a signed integer
MIX = ((30, -4658895280553007687), (27, -7723592293110705685), (31, 1))
FLOAT_BITS = 24  # a float32 holds this many bits exactly
SAME_BITS = ("cpu", "cuda")  # devices whose integers of 64 bits wrap alike: draws are made there


class Streams:
    """Random streams of N images: draws are pure functions of (stream, key).

    An image with one key draws the same numbers on every device, whatever else is in the batch or
    was drawn before. Integers, and the floats that are made of them exactly, are drawn on the
    device itself; logarithm and cosine differ between devices in the last bit, so normal numbers
    are drawn on the CPU. Source of the mixing function: Steele et al. 2014, "Fast Splittable
    Pseudorandom Number Generators" (SplitMix64).
    """

    def __init__(self, states: Tensor):
        self.states = states

    def __len__(self) -> int:
        return len(self.states)

    @classmethod
    def of_images(cls, seed: int, index: Iterable[int], *purpose: object) -> "Streams":
        """Give the streams of images by their places in the data set, for one seed and purpose."""
        places = torch.as_tensor(index, dtype=torch.int64).cpu()
        return cls(_mixed(places * GOLDEN + seed_for(seed, *purpose)))

    @classmethod
    def from_generator(cls, generator: torch.Generator | Shared, count: int) -> "Streams":
        """Give fresh streams for a training batch, whose images belong to no fixed place."""
        return cls(draw(partial(torch.randint, 2**62), (count,), generator))

    def select(self, rows: Tensor) -> "Streams":
        """Keep the streams of the named rows, in their order; a row may be named twice."""
        return Streams(self.states[rows.to(self.states.device)])

    def fork(self, *key: object) -> "Streams":
        """Give a stream per image that shares no numbers with this one or with another key.

        A tensor of integers [N] as a part of the key forks each image's stream differently.
        """
        states = self.states
        for part in key:
            number = part.to(states.device) if isinstance(part, Tensor) else _number(part)
            states = _mixed(states ^ _mixed(number * torch.tensor(GOLDEN) + 1))
        return Streams(states)

    def uniform(self, *shape: int, device: torch.device | str = "cpu") -> Tensor:
        """Draw U[0, 1) of a shape for each image: float32 [N, *shape]."""
        bits = _shifted(self._bits(shape, device), 64 - FLOAT_BITS)
        return (bits.float() * 2.0**-FLOAT_BITS).to(device)

    def normal(self, *shape: int, device: torch.device | str = "cpu") -> Tensor:
        """Draw N(0, 1) of a shape for each image: float32 [N, *shape] (Box and Muller 1958)."""
        radius, angle = self.fork("radius").uniform(*shape), self.fork("angle").uniform(*shape)
        length = torch.sqrt(-2 * torch.log1p(-radius.double()))
        return (length * torch.cos(2 * torch.pi * angle.double())).float().to(device)

    def integers(self, below: int, *shape: int, device: torch.device | str = "cpu") -> Tensor:
        """Draw integers from 0 to below - 1 of a shape for each image: int64 [N, *shape]."""
        return (_shifted(self._bits(shape, device), 11) % below).to(device)

    def _bits(self, shape: tuple[int, ...], device: torch.device | str) -> Tensor:
        """Give 64 random bits for each number, on the device if it computes the same there."""
        place = torch.device(device) if torch.device(device).type in SAME_BITS else "cpu"
        count = int(torch.Size(shape).numel())
        counters = torch.arange(1, count + 1, device=place) * GOLDEN
        return _mixed(self.states.to(place)[:, None] + counters).view(len(self), *shape)


def _number(part: object) -> Tensor:
    if isinstance(part, int):
        return torch.tensor(part)  # as an entry of a tensor would
    digest = hashlib.sha256(repr(part).encode()).digest()
    return torch.tensor(int.from_bytes(digest[:8], "big", signed=True))


def _shifted(bits: Tensor, by: int) -> Tensor:
    """Shift 64 bits right and fill with zeros; integers here are signed."""
    return (bits >> by) & ((1 << (64 - by)) - 1)


def _mixed(bits: Tensor) -> Tensor:
    for shift, factor in MIX:
        bits = (bits ^ _shifted(bits, shift)) * factor
    return bits
