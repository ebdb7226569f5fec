"""Simultaneous perturbation stochastic approximation."""

import torch
from torch import Tensor

from gauntlet.attacks.base.entry import attack
from gauntlet.attacks.base.losses import margin
from gauntlet.attacks.base.norm_balls import Ball, ball
from gauntlet.attacks.base.settings import require_counts
from gauntlet.attacks.base.state import AttackState
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import AttackResult

NORMS = ("linf", "l2")
MEMORY, SPREAD, TINY = 0.9, 0.999, 1e-8  # Adam's beta1, beta2 and epsilon
ELEMENTS = 2**21  # pixels of the points that are evaluated together
WORD = 48  # bits of a random integer that are used as signs
GRADIENT_FREE = True
CHECK_SLACK = 0.25
FORWARDS = "steps * (samples + 1) + 1"


@attack
def spsa(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    streams: Streams,
    norm: str,
    eps: float,
    steps: int = 100,
    samples: int = 128,
    delta: float = 0.01,
    learning_rate: float = 0.01,
) -> AttackResult:
    """Raise the margin with Adam and gradients estimated from pairs of points on opposite sides.

    Source: Uesato et al. 2018, "Adversarial Risk and the Dangers of Evaluating Against Weak
    Attacks". Shapes: images [N, C, H, W] float32 in [0, 1], labels [N] int64; `eps`, `delta` (how
    far each pixel of a sample is from the iterate) and `learning_rate` (about the first steps'
    length in each pixel) in the images' unit; norms linf and l2. A step takes `samples` queries,
    in pairs, and one for its start; the last iterate takes one more.
    Departures: samples are projected into the ball, so that each is an example in its own right;
    8192 samples, the paper's number, must be asked for.
    Raises ValueError for another norm, a negative eps, steps below 1, samples that are odd or
    below 2, or a delta or learning_rate that is not above 0.
    """
    if norm not in NORMS:
        raise ValueError(f"norm is {norm!r}; allowed are {', '.join(NORMS)}")
    require_counts(steps=steps, samples=samples)
    if samples % 2:
        raise ValueError(f"samples is {samples}; allowed are even numbers from 2")
    if not (delta > 0 and learning_rate > 0):
        raise ValueError(f"delta is {delta} and learning_rate is {learning_rate}; must be above 0")
    area, state = ball(images, norm, eps), AttackState(model, images, labels)
    _search(state, area, streams, steps, samples // 2, delta, learning_rate)
    return state.result()


def _search(
    state: AttackState, area: Ball, streams: Streams, steps, pairs, delta, rate: float
) -> None:
    rows, points = torch.arange(len(state.images), device=state.images.device), area.images
    mean, square = torch.zeros_like(points), torch.zeros_like(points)
    for number in range(1, steps + 1):
        _margins(state, rows, points)
        kept = _unsolved(state, rows, area, streams, points, mean, square)
        rows, area, streams, points, mean, square = kept
        if len(rows) == 0:
            return
        gradient = _estimate(state, area, rows, points, streams.fork("step", number), pairs, delta)
        mean = MEMORY * mean + (1 - MEMORY) * gradient
        square = SPREAD * square + (1 - SPREAD) * gradient.square()
        size = (square / (1 - SPREAD**number)).sqrt() + TINY
        points = area.project(points + rate * mean / (1 - MEMORY**number) / size)
        kept = _unsolved(state, rows, area, streams, points, mean, square)
        rows, area, streams, points, mean, square = kept
        if len(rows) == 0:
            return
    _margins(state, rows, points)


def _unsolved(
    state: AttackState, rows: Tensor, area: Ball, streams: Streams, *tensors: Tensor
) -> tuple:
    """Keep what belongs to images without a misclassified example."""
    stay = (~state.success[rows]).nonzero().squeeze(1)
    if len(stay) == len(rows):
        return rows, area, streams, *tensors
    return rows[stay], area.select(stay), streams.select(stay), *(part[stay] for part in tensors)


def _margins(state: AttackState, rows: Tensor, points: Tensor) -> Tensor:
    labels = state.labels[rows]
    logits, _ = state.judge(rows, points, lambda seen, places: margin(seen, labels[places]))
    return margin(logits, labels)


def _estimate(
    state: AttackState, area: Ball, rows, points, streams: Streams, pairs, delta
) -> Tensor:
    """Estimate the margin's gradient [M, C, H, W], for as many images together as fit."""
    together = max(ELEMENTS // (2 * pairs * points[0].numel()), 1)
    parts = []
    for places in torch.arange(len(rows), device=rows.device).split(together):
        signs = _signs(streams.select(places), pairs, points.shape[1:]).to(points.device)
        ends = (points[places, None, None] + delta * torch.stack([signs, -signs], 1)).flatten(0, 2)
        owners = places.repeat_interleave(2 * pairs)
        inside = area.select(owners).project(ends)
        values = _margins(state, rows[owners], inside).view(len(places), 2, pairs)
        slopes = (values[:, 0] - values[:, 1]) / (2 * delta)
        parts.append((slopes[..., None, None, None] * signs).mean(1))
    return torch.cat(parts)


def _signs(streams: Streams, count: int, shape: torch.Size) -> Tensor:
    """Draw signs -1 and 1: float32 [N, count, *shape]; every integer that is drawn gives many."""
    words = -(-shape.numel() // WORD)
    drawn = streams.integers(2**WORD, count, words)[..., None]
    places = (drawn >> torch.arange(0, WORD, 8)) & 255
    bits = torch.arange(256)[:, None] >> torch.arange(8) & 1
    signs = (bits * 2.0 - 1)[places].flatten(2)
    return signs[..., : shape.numel()].view(len(streams), count, *shape)
