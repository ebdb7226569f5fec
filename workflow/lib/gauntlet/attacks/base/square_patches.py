"""The patches of Square Attack: what a query changes, for each norm."""

import torch
from torch import Tensor

from gauntlet.attacks.base.norm_balls import L2Ball, LinfBall
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import per_image

TILES = 5  # l2: bumps along a side at the start
LEAST = 3  # l2: side of the smallest patch
TINY = 1e-12


class _Windows:
    """Places of square windows in flattened images [C, H * W]."""

    def __init__(self, images: Tensor):
        self.shape, self.device, self.side, self.offsets = images.shape[1:], images.device, 0, None

    def at(self, place: Tensor, side: int) -> Tensor:
        """Give the indices [M, C, side * side] of windows at places [M, 2] in [0, 1)."""
        channels, height, width = self.shape
        if side != self.side:
            steps = torch.arange(side, device=self.device)
            self.side, self.offsets = side, (steps[:, None] * width + steps).flatten()
        top = (place[:, 0] * (height - side + 1)).long()
        corner = top * width + (place[:, 1] * (width - side + 1)).long()
        index = corner.to(self.device)[:, None, None] + self.offsets
        return index.expand(-1, channels, -1)


class LinfPatches:
    """Points at the bounds of the box; a patch sets each channel to one bound.

    A proposal is written into the points, and undone where it is not better.
    """

    def __init__(self, area: LinfBall, streams: Streams, start: Tensor | None = None):
        self.shape, self.windows = area.images.shape[1:], _Windows(area.images)
        self.low, self.high = area.low.flatten(2), area.high.flatten(2)
        self.numbers = 2 + self.shape[0]
        self.now = (_stripes(area, streams) if start is None else start.clone()).flatten(2)

    def keep(self, stay: Tensor) -> None:
        self.low, self.high, self.now = self.low[stay], self.high[stay], self.now[stay]

    def propose(self, draw: Tensor, share: float) -> Tensor:
        """Draw a patch for each point, and give the rows of the points that it changes."""
        side = max(round((share * self.shape[1:].numel()) ** 0.5), 1)
        self.index = self.windows.at(draw[:, :2], min(side, *self.shape[1:]))
        upwards = (draw[:, 2:, None] < 0.5).to(self.now.device)
        low, high = self.low.gather(2, self.index), self.high.gather(2, self.index)
        self.old, self.new = self.now.gather(2, self.index), torch.where(upwards, high, low)
        self.now.scatter_(2, self.index, self.new)
        return (self.new != self.old).flatten(1).any(1).nonzero().squeeze(1)

    def proposed(self, rows: Tensor) -> Tensor:
        chosen = self.now if len(rows) == len(self.now) else self.now[rows]
        return chosen.unflatten(2, self.shape[1:])

    def points(self) -> Tensor:
        """Give the points [M, C, H, W] that were kept."""
        return self.now.unflatten(2, self.shape[1:])

    def settle(self, better: Tensor) -> None:
        kept = torch.where(better[:, None, None], self.new, self.old)
        self.now.scatter_(2, self.index, kept)


def _stripes(area: LinfBall, streams: Streams) -> Tensor:
    _, channels, _, width = area.images.shape
    up = streams.integers(2, channels, 1, width).bool()
    return torch.where(up.to(area.low.device), area.high, area.low)


class L2Patches:
    """Points on the sphere; a patch moves one window's mass into another, as a bump."""

    def __init__(self, area: L2Ball, streams: Streams, start: Tensor | None = None):
        self.area, self.windows = area, _Windows(area.images)
        self.numbers, self.bumps = 5 + area.images.shape[1], {}
        delta = _tiled(area.images, streams) if start is None else start - area.images
        self.now = self.next = self._onto_sphere(delta)

    def keep(self, stay: Tensor) -> None:
        self.area, self.now = self.area.select(stay), self.now[stay]

    def propose(self, draw: Tensor, share: float) -> Tensor:
        """Draw two windows for each point, and move the mass of the second to the first."""
        _, channels, height, width = self.now.shape
        side = min(max(round((share * height * width) ** 0.5), LEAST) // 2 * 2 + 1, height, width)
        onto = self.windows.at(draw[:, :2], side)
        out_of = self.windows.at(draw[:, 2:4], side)
        delta = (self.now - self.area.images).flatten(2)
        window, mass = delta.gather(2, onto), delta.square().sum(2)
        unused = (self.area.eps**2 - mass.sum(1, keepdim=True)).clamp(min=0) / channels
        delta.scatter_(2, out_of, 0.0).scatter_(2, onto, 0.0)
        taken = (mass - delta.square().sum(2)).clamp(min=0)
        if side not in self.bumps:
            self.bumps = {side: _bumps(side).flatten(1).to(self.now.device)}
        shape = self.bumps[side][(draw[:, 4] < 0.5).long().to(self.now.device)]
        signs = (draw[:, 5:] < 0.5).to(self.now.device) * 2 - 1
        patch = _unit(shape[:, None] * signs[:, :, None] + _unit(window))
        delta.scatter_(2, onto, patch * (taken + unused).sqrt()[:, :, None])
        self.next = self._onto_sphere(delta.view_as(self.now))
        return torch.arange(len(self.now), device=self.now.device)

    def proposed(self, rows: Tensor) -> Tensor:
        return self.next

    def points(self) -> Tensor:
        """Give the points [M, C, H, W] that were kept."""
        return self.now

    def settle(self, better: Tensor) -> None:
        self.now = torch.where(per_image(better), self.next, self.now)

    def _onto_sphere(self, delta: Tensor) -> Tensor:
        length = delta.flatten(1).norm(dim=1).clamp(min=TINY)
        return self.area.project(self.area.images + delta * per_image(self.area.eps / length))


PATCHES = {"linf": LinfPatches, "l2": L2Patches}


def _unit(values: Tensor) -> Tensor:
    """Scale the windows [M, C, S] of every channel to length 1."""
    return values / values.norm(dim=2, keepdim=True).clamp(min=TINY)


def _bumps(side: int) -> Tensor:
    """Give the patch's shape of length 1, upright and lying: [2, side, side].

    One half is a hill of nested rectangles, the other the same with the other sign.
    """
    half = side // 2
    shape = torch.cat([_hill(half, side), -_hill(side - half, side)])
    shape = shape / shape.norm().clamp(min=TINY)
    return torch.stack([shape, shape.T])


def _hill(height: int, width: int) -> Tensor:
    """Sum rectangles around the middle, each one pixel wider on every side and lower: length 1."""
    down, across = ((torch.arange(size) - size // 2).abs() for size in (height, width))
    ring = torch.maximum(down[:, None], across)
    levels = 1 / torch.arange(1, max(height, width, 1) // 2 + 2).double().square()
    tails = levels.flip(0).cumsum(0).flip(0).float()
    return tails[ring] / tails[ring].norm().clamp(min=TINY)


def _tiled(images: Tensor, streams: Streams) -> Tensor:
    """Cover the images with bumps, each upright or lying and with signs of its own."""
    count, channels, height, width = images.shape
    side = max(min(height, width) // TILES, 1)
    down, across = height // side, width // side
    lying = streams.fork("lying").integers(2, down, across)
    signs = streams.fork("signs").integers(2, channels, down, across) * 2 - 1
    tiles = _bumps(side)[lying][:, None] * signs[..., None, None]
    cover = tiles.transpose(3, 4).reshape(count, channels, down * side, across * side)
    top, left = (height - down * side) // 2, (width - across * side) // 2
    delta = torch.zeros(images.shape)
    delta[:, :, top : top + down * side, left : left + across * side] = cover
    return delta.to(images.device)
