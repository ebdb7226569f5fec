"""HopSkipJump: steps along the decision boundary that use nothing but predicted classes."""

import math

import torch
from torch import Tensor

from gauntlet.attacks.base.entry import attack
from gauntlet.attacks.base.settings import require_counts
from gauntlet.attacks.base.state import MinimumNormState
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import AttackResult, per_image

EXPONENTS = {"l2": 1.5, "linf": 2.0}  # of 1 / pixels: the paper's precision of the boundary
PRECISION = 1e-3  # of the boundary, at worst: images of few pixels need it
HALVINGS = 24  # of an interval: float32 resolves no more
FIRST_RADIUS = 0.1  # of the first estimate's samples
RESOLVED = 2.0**-20  # least mean change of a pixel by a sample that float32 can represent
COARSE = 4  # start noise has blocks of 1, 2, 4 and 8 pixels in turn
ELEMENTS = 2**21  # pixels of the points that are evaluated together
BITS = 16  # of a random number in the estimates; one random integer gives three
NORMS = ("linf", "l2")
GRADIENT_FREE = True
CHECK_SLACK = 0.25
FORWARDS = (  # a search of the boundary and at most two more queries a step, and the votes
    "2 + 2 * steps"
    " + (steps + 1) * min(ceil(max(-log2(PRECISION), EXPONENTS[norm] * log2(pixels))), HALVINGS)"
    " + sum(min(int(init_evals * sqrt(t)), max_evals) for t in range(1, steps + 1))"
)


@attack
def hopskipjump(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    streams: Streams,
    norm: str,
    steps: int = 50,
    init_evals: int = 100,
    max_evals: int = 10_000,
    tries: int = 100,
) -> AttackResult:
    """Find a near misclassified point by steps along the boundary's normal, which votes estimate.

    Source: Chen et al. 2020, "HopSkipJumpAttack: A Query-Efficient Decision-Based Attack". Shapes:
    images [N, C, H, W] float32 in [0, 1], labels [N] int64; norms l2 and linf. The estimate of
    step t takes `init_evals` * sqrt(t) queries, at most `max_evals`. An image starts at the first
    of `tries` noise images that is misclassified; without one it stays unchanged.
    Departures: every second to fourth try in four has noise in blocks of 2, 4 or 8 pixels; the
    boundary is found to 0.1 % of the distance where the paper asks for less; samples change pixels
    by at least what float32 can represent; a step that fails after 24 halvings is not taken.
    Raises ValueError for another norm, or steps, init_evals, max_evals or tries below 1.
    """
    if norm not in EXPONENTS:
        raise ValueError(f"norm is {norm!r}; allowed are {', '.join(EXPONENTS)}")
    require_counts(steps=steps, init_evals=init_evals, max_evals=max_evals, tries=tries)
    state = MinimumNormState(model, images, labels, norm)
    rows = _started(state, streams.fork("start"), tries)
    if len(rows):
        points = state.best[rows]
        reach, points = state.measure(rows, points), _to_boundary(state, rows, points)
        for number in range(1, steps + 1):
            radius = _radius(points, reach, number)
            own = streams.select(rows).fork("step", number)
            evals = min(int(init_evals * math.sqrt(number)), max_evals)
            normal = _normal(state, rows, points, radius, own, evals)
            points = _jump(state, rows, points, normal, number)
            reach, points = state.measure(rows, points), _to_boundary(state, rows, points)
    return state.result()


def _started(state: MinimumNormState, streams: Streams, tries: int) -> Tensor:
    """Find a misclassified point for every image, and give the rows [M] that need steps."""
    state.judge(state.active(), state.images)
    right = state.active()
    channels, height, width = state.images.shape[1:]
    for number in range(tries):
        rows = state.active()
        if len(rows) == 0:
            break
        block = 2 ** (number % COARSE)
        shape = (channels, -(-height // block), -(-width // block))
        noise = streams.select(rows).fork(number).uniform(*shape, device=rows.device)
        noise = noise.repeat_interleave(block, 2).repeat_interleave(block, 3)
        state.judge(rows, noise[:, :, :height, :width].contiguous())
    return right[state.success[right]]


def _to_boundary(state: MinimumNormState, rows: Tensor, points: Tensor) -> Tensor:
    """Move misclassified points towards their images, as far as they stay misclassified."""
    images, pixels = state.images[rows], points[0].numel()
    precision = min(PRECISION, pixels ** -EXPONENTS[state.norm])
    reach, low = state.measure(rows, points), torch.zeros_like(points[:, 0, 0, 0])
    high, nearest = torch.ones_like(low), points
    for _ in range(min(math.ceil(-math.log2(precision)), HALVINGS)):
        share = (low + high) / 2
        closer = _between(images, points, share, reach, state.norm)
        _, missed = state.judge(rows, closer)
        nearest = torch.where(per_image(missed), closer, nearest)
        low, high = torch.where(missed, low, share), torch.where(missed, share, high)
    return nearest


def _between(images: Tensor, points: Tensor, share: Tensor, reach: Tensor, norm: str) -> Tensor:
    """Give the points at a share of the way: on the line, or in the smaller box."""
    offset = points - images
    if norm == "linf":
        room = per_image(share * reach)
        return (images + torch.minimum(torch.maximum(offset, -room), room)).clamp_(0, 1)
    return (images + per_image(share) * offset).clamp_(0, 1)


def _radius(points: Tensor, reach: Tensor, number: int) -> Tensor:
    """Give the distance [M] of samples from their points; `reach` was before the last search."""
    pixels = points[0].numel()
    if number == 1:
        return torch.full_like(reach, FIRST_RADIUS)
    return (reach / pixels).clamp(min=RESOLVED * math.sqrt(pixels))


def _normal(
    state: MinimumNormState, rows, points, radius: Tensor, streams: Streams, evals
) -> Tensor:
    """Estimate the direction [M, C, H, W] into the other classes, of length 1 in the norm."""
    block = min(evals, max(ELEMENTS // points[0].numel(), 1))
    together = max(ELEMENTS // (block * points[0].numel()), 1)
    parts = []
    for places in torch.arange(len(rows), device=rows.device).split(together):
        own = (rows[places], points[places], radius[places], streams.select(places))
        parts.append(_votes(state, *own, evals, block))
    direction = torch.cat(parts)
    if state.norm == "linf":
        return direction.sign()
    return direction / per_image(_length(direction, 1))


def _votes(state: MinimumNormState, rows, points, radius, streams: Streams, evals, block) -> Tensor:
    """Sum sampled directions, each with the sign of its vote less the mean vote."""
    table = _table(state.norm).to(points.device)
    signed, plain, total = torch.zeros_like(points), torch.zeros_like(points), 0
    for first in range(0, evals, block):
        count = min(block, evals - first)
        noise = _noise(streams.fork(first), count, points.shape[1:], table)
        moved = points[:, None] + radius.view(-1, 1, 1, 1, 1) * noise
        moved = moved.clamp_(0, 1)
        noise = (moved - points[:, None]) / radius.view(-1, 1, 1, 1, 1)
        _, missed = state.judge(rows.repeat_interleave(count), moved.flatten(0, 1))
        votes = missed.view(-1, count) * 2.0 - 1
        signed += (noise * votes[..., None, None, None]).sum(1)
        plain, total = plain + noise.sum(1), total + votes.sum(1)
    mean = total / evals
    return signed - per_image(torch.where(mean.abs() == 1, 0.0, mean)) * plain


def _noise(streams: Streams, count: int, shape: torch.Size, table: Tensor) -> Tensor:
    """Draw directions of length 1, each pixel's size from a table: [M, count, *shape]."""
    each = 48 // BITS
    words = -(-shape.numel() // each)
    drawn = streams.integers(2 ** (each * BITS), count, words)[..., None]
    drawn = (drawn >> torch.arange(0, each * BITS, BITS)) & (2**BITS - 1)
    noise = table[drawn.flatten(2)[..., : shape.numel()].to(table.device)]
    return (noise / _length(noise, 2)[..., None]).view(len(streams), count, *shape)


def _table(norm: str) -> Tensor:
    """Give the quantiles of what a pixel's noise is drawn from: normal for l2, else uniform."""
    level = (torch.arange(2**BITS).double() + 0.5) / 2**BITS
    return (torch.special.ndtri(level) if norm == "l2" else 2 * level - 1).float()


def _length(values: Tensor, start: int) -> Tensor:
    return values.flatten(start).norm(dim=start).clamp(min=torch.finfo(values.dtype).tiny)


def _jump(state: MinimumNormState, rows, points: Tensor, normal: Tensor, number: int) -> Tensor:
    """Step along the normal, and halve the step until the point is misclassified."""
    length = state.measure(rows, points) / math.sqrt(number)
    reached, left = points.clone(), torch.arange(len(rows), device=rows.device)
    for _ in range(HALVINGS):
        ahead = (points[left] + per_image(length[left]) * normal[left]).clamp_(0, 1)
        _, missed = state.judge(rows[left], ahead)
        reached[left[missed]] = ahead[missed]
        left, length = left[~missed], length / 2
        if len(left) == 0:
            break
    return reached
