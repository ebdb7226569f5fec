"""Square Attack: random search with square patches."""

from bisect import bisect_left

import torch
from torch import Tensor

from gauntlet.attacks.base.entry import attack
from gauntlet.attacks.base.losses import margin
from gauntlet.attacks.base.norm_balls import ball
from gauntlet.attacks.base.square_patches import PATCHES
from gauntlet.attacks.base.state import AttackState
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import AttackResult

SCALE = 10_000  # queries of the schedule with these marks; after each, the patch area is halved
MARKS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
BLOCK = 64  # queries whose random numbers are drawn at once
NORMS = ("linf", "l2")
GRADIENT_FREE = True
CHECK_SLACK = 0.6
FORWARDS = "queries * restarts"


@attack
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
    attack via random search"; defaults as in Croce & Hein 2020 (AutoAttack). Shapes: images
    [N, C, H, W] float32 in [0, 1], labels [N] int64; `eps` in the images' unit; norms linf and l2.
    `queries` are those of a restart, its start included; `p_init` is the share of the image that
    the first patches cover. Departures: the schedule of the patches' sizes is rescaled from 10,000
    queries to `queries` (the authors' `resc_schedule`, which AutoAttack leaves off: there, 5,000
    queries end in the middle of it); a query that would change nothing counts, but the model is
    not called, so `forwards` can be less than `queries`; a patch may touch the right and the lower
    border too; l2 moves mass within each channel, as the paper says.
    Raises ValueError for another norm, a negative eps, queries or restarts below 1, or a p_init
    that is not above 0 and at most 1.
    """
    if norm not in PATCHES:
        raise ValueError(f"norm is {norm!r}; allowed are {', '.join(PATCHES)}")
    if min(queries, restarts) < 1 or not 0 < p_init <= 1:
        values = f"queries is {queries}, restarts is {restarts} and p_init is {p_init}"
        raise ValueError(f"{values}; 1 or more, 1 or more, and above 0 and at most 1 are allowed")
    area, state = ball(images, norm, eps), AttackState(model, images, labels)
    for restart in range(restarts):
        rows = state.active()
        if len(rows) == 0:
            break
        own = streams.select(rows).fork("restart", restart)
        patches = PATCHES[norm](area.select(rows), own.fork("start"))
        _search(state, rows, patches, _Draws(own, patches.numbers), queries, p_init)
    return state.result()


def square_from(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    streams: Streams,
    start: Tensor,
    norm: str,
    eps: float,
    queries: int,
    p_init: float = 0.8,
) -> AttackResult:
    """Run `square` from the points `start` [N, C, H, W] in the ball, instead of from stripes.

    From the best points of a gradient attack it finds more than from stripes: of 842 images of a
    public network that two runs of Auto-PGD had left, 43 instead of 22 in 1,000 queries.
    """
    area, state = ball(images, norm, eps), AttackState(model, images, labels)
    patches = PATCHES[norm](area, streams.fork("start"), start)
    rows = torch.arange(len(images), device=images.device)
    _search(state, rows, patches, _Draws(streams, patches.numbers), queries, p_init)
    return state.result()


def _search(state: AttackState, rows: Tensor, patches, draws, queries: int, p_init: float) -> None:
    values = _margins(state, rows, patches.proposed(torch.arange(len(rows))))
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
            new = _margins(state, rows[changed], patches.proposed(changed))
            better[changed] = new > values[changed]
            values[changed] = torch.maximum(values[changed], new)
        patches.settle(better)
    state.record(rows, patches.points(), values, state.success[rows])


def _margins(state: AttackState, rows: Tensor, points: Tensor) -> Tensor:
    """Ask the model, in float32, and record what is misclassified; gives the margins [M]."""
    logits, labels = state.ask(rows, points), state.labels[rows]
    values = margin(logits, labels)
    if bool((values >= 0).any()):
        state.record(rows, points, values, logits.argmax(1) != labels)
    return values


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
