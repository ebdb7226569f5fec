"""Square Attack: random search with square patches."""

from bisect import bisect_left

import torch
from torch import Tensor

from gauntlet.attacks.base.losses import margin
from gauntlet.attacks.base.norm_balls import L2Ball, LinfBall, ball
from gauntlet.attacks.base.state import AttackState
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import AttackResult, per_image

SCALE = 10_000  # queries of the schedule whose marks these are; after each, the patch is halved
MARKS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
BLOCK = 64  # queries whose random numbers are drawn together
TILES, LEAST = 5, 3  # l2: bumps along a side at the start, and side of the smallest patch
TINY = 1e-12
NORMS = ("linf", "l2")
GRADIENT_FREE = True
CHECK_SLACK = 0.6
FORWARDS = "queries * restarts"


def square(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    streams: Streams,
    norm: str,
    eps: float,
    queries: int = 5000,
    p_init: float = 0.8,
    restarts: int = 1,
) -> AttackResult:
    """Change one random square patch a query, and keep the change if it raises the margin.

    Source: Andriushchenko et al. 2020, "Square Attack: a query-efficient black-box adversarial
    attack via random search"; schedule and defaults as in Croce & Hein 2020 (AutoAttack), with the
    schedule rescaled to `queries`. Shapes: images [N, C, H, W] float32 in [0, 1], labels [N] int64;
    `eps` in the images' unit; norms linf and l2. `queries` are those of a restart, its start
    included; `p_init` is the share of the image that the first patches cover.
    Departures: a query that would change nothing is spent but not put to the model, so `forwards`
    can be less than `queries`; a patch may touch the right and the lower border too; l2 moves mass
    within each channel, as the paper says.
    Raises ValueError for another norm, a negative eps, queries or restarts below 1, or a p_init
    that is not above 0 and at most 1.
    """
    if norm not in PATCHES:
        raise ValueError(f"norm is {norm!r}; allowed are {', '.join(PATCHES)}")
    if min(queries, restarts) < 1 or not 0 < p_init <= 1:
        said = f"queries is {queries}, restarts is {restarts} and p_init is {p_init}"
        raise ValueError(f"{said}; 1 or more, 1 or more, and above 0 and at most 1 are allowed")
    area, state = ball(images, norm, eps), AttackState(model, images, labels)
    for restart in range(restarts):
        rows = state.active()
        if len(rows) == 0:
            break
        own = streams.select(rows).fork("restart", restart)
        patches = PATCHES[norm](area.select(rows), own.fork("start"))
        _search(state, rows, patches, _Draws(own, patches.numbers), queries, p_init)
    return state.result()


def _search(state: AttackState, rows: Tensor, patches, draws, queries: int, p_init: float) -> None:
    values = _ask(state, rows, patches.proposed(torch.arange(len(rows))))
    for number in range(1, queries):
        success = state.success[rows]
        if bool(success.any()):
            stay = (~success).nonzero().squeeze(1)
            rows, values = rows[stay], values[stay]
            patches.keep(stay)
            draws.keep(stay)
        if len(rows) == 0:
            return
        changed = patches.propose(draws.of(number), _share(p_init, number, queries))
        better = torch.zeros_like(rows, dtype=torch.bool)
        if len(changed):
            new = _ask(state, rows[changed], patches.proposed(changed))
            better[changed] = new > values[changed]
            values[changed] = torch.maximum(values[changed], new)
        patches.settle(better)


def _ask(state: AttackState, rows: Tensor, points: Tensor) -> Tensor:
    labels = state.labels[rows]
    logits, _ = state.screen(rows, points, lambda seen, places: margin(seen, labels[places]))
    return margin(logits, labels)


def _share(p_init: float, number: int, queries: int) -> float:
    """Give the share of the image that the patch of a query covers."""
    return p_init / 2 ** bisect_left(MARKS, number * SCALE // queries)


class _Draws:
    """The random numbers U[0, 1) of every query: one stream per image and query."""

    def __init__(self, streams: Streams, numbers: int):
        self.streams, self.numbers, self.block = streams.fork("query"), numbers, None

    def keep(self, stay: Tensor) -> None:
        self.streams = self.streams.select(stay)
        self.block = None if self.block is None else self.block[:, stay.cpu()]

    def of(self, number: int) -> Tensor:
        """Give the numbers [M, numbers] of one query; queries are asked in turn, from 1."""
        place = (number - 1) % BLOCK
        if place == 0:
            count = len(self.streams)
            many = self.streams.select(torch.arange(count).repeat(BLOCK))
            queries = torch.arange(number, number + BLOCK).repeat_interleave(count)
            self.block = many.fork(queries).uniform(self.numbers).view(BLOCK, count, self.numbers)
        return self.block[place]


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


class _LinfPatches:
    """Points at the faces of the box; a patch goes to one face in each channel.

    A proposal is written into the points, and taken back where it is not better.
    """

    def __init__(self, area: LinfBall, streams: Streams):
        self.shape, self.windows = area.images.shape[1:], _Windows(area.images)
        self.low, self.high = area.low.flatten(2), area.high.flatten(2)
        self.numbers = 2 + self.shape[0]
        stripes = streams.integers(2, self.shape[0], 1, self.shape[2]).bool()
        self.now = torch.where(stripes.to(area.low.device), area.high, area.low).flatten(2)

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

    def settle(self, better: Tensor) -> None:
        self.now.scatter_(2, self.index, torch.where(better[:, None, None], self.new, self.old))


class _L2Patches:
    """Points on the sphere; a patch takes the mass of a window and gives it a bump's shape."""

    def __init__(self, area: L2Ball, streams: Streams):
        self.area, self.windows = area, _Windows(area.images)
        self.numbers, self.bumps = 5 + area.images.shape[1], {}
        self.now = self.next = self._onto_sphere(_tiled(area.images, streams))

    def keep(self, stay: Tensor) -> None:
        self.area, self.now = self.area.select(stay), self.now[stay]

    def propose(self, draw: Tensor, share: float) -> Tensor:
        """Draw two windows for each point, and move the mass of the second to the first."""
        _, channels, height, width = self.now.shape
        side = min(max(round((share * height * width) ** 0.5), LEAST) // 2 * 2 + 1, height, width)
        onto, out_of = (self.windows.at(draw[:, n : n + 2], side) for n in (0, 2))
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

    def settle(self, better: Tensor) -> None:
        self.now = torch.where(per_image(better), self.next, self.now)

    def _onto_sphere(self, delta: Tensor) -> Tensor:
        length = delta.flatten(1).norm(dim=1).clamp(min=TINY)
        return self.area.project(self.area.images + delta * per_image(self.area.eps / length))


PATCHES = {"linf": _LinfPatches, "l2": _L2Patches}


def _unit(values: Tensor) -> Tensor:
    """Scale the windows [M, C, S] of every channel to length 1."""
    return values / values.norm(dim=2, keepdim=True).clamp(min=TINY)


def _bumps(side: int) -> Tensor:
    """Give the patch's shape of length 1, upright and lying: [2, side, side].

    One half is a hill of nested rectangles, the other the same with the other sign.
    """
    shape = torch.cat([_hill(side // 2, side), -_hill(side - side // 2, side)])
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
