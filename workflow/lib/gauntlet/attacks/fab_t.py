"""Targeted FAB, the fast adaptive boundary attack: a walk along the linearized boundary."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from gauntlet.attacks.base.losses import likely_targets, targeted_margin
from gauntlet.attacks.base.norm_balls import balls
from gauntlet.attacks.base.state import MinimumNormState
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import ORDERS, AttackResult, per_image

HALVINGS = 10  # of the way from the image to its example: the last share is below 0.1 %
START_SHARE = 0.5  # of eps, or of the distance found so far: how far random starts go
START_ELSE = {"linf": 0.3, "l2": 1.0, "l1": 5.0}  # where neither is known
WITHIN = 1 - 1e-6  # of eps: float32 distances are not exact
LEAST = 1e-8  # length of a move, where lengths are compared
CLOSE = 1e-6  # share of a threshold's value below which a rise of it no longer matters
NORMS = ("linf", "l2", "l1")
FORWARDS = "1 + restarts * min(targets, classes - 1) * (2 * steps + HALVINGS)"
BACKWARDS = "restarts * min(targets, classes - 1) * steps"


@dataclass
class Candidates:
    """Runs that go on together: their images' rows, aims, points, nearest finds and how far."""

    rows: Tensor
    aims: Tensor
    points: Tensor
    nearest: Tensor
    spans: Tensor

    def select(self, places: Tensor) -> "Candidates":
        """Keep the named candidates only."""
        return Candidates(*(values[places] for values in vars(self).values()))

    def note(self, state: MinimumNormState, places: Tensor) -> None:
        """Keep the points of some candidates, all misclassified, if they are nearer than before."""
        spans = state.measure(self.rows[places], self.points[places])
        places, spans = places[better := spans < self.spans[places]], spans[better]
        self.nearest[places], self.spans[places] = self.points[places], spans


def fab_t(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    streams: Streams,
    norm: str,
    eps: float | None = None,
    steps: int = 100,
    restarts: int = 1,
    targets: int = 9,
    alpha_max: float = 0.1,
    eta: float = 1.05,
    beta: float = 0.9,
) -> AttackResult:
    """Look for the nearest misclassified example by walks along the boundaries to other classes.

    Source: Croce & Hein 2020, "Minimally distorted Adversarial Examples with a Fast Adaptive
    Boundary Attack"; defaults as in AutoAttack. Shapes: images [N, C, H, W] float32 in [0, 1],
    labels [N] int64; `eps` in the images' unit; norms linf, l2, l1. Aims are the classes of highest
    clean logits; every run is `steps` long, the first of each aim starts at the image. With an
    `eps`, an image whose example is that near is done at once; examples may lie further away.
    Departures: the boundary's threshold is found by Newton's method (exact, as the reference's
    sorting is); the point behind a backward step is judged too; random starts are uniform in the
    ball of half of eps or of the distance found so far; the search at the end halves the way 10
    times for each run (for linf the box around the image).
    Raises ValueError for an unknown norm, a negative eps, steps, restarts or targets below 1, an
    alpha_max outside 0 to 1, eta below 1, or beta outside 0 (excluded) to 1.
    """
    _require(norm, eps, steps, restarts, targets, alpha_max, eta, beta)
    state = MinimumNormState(model, images, labels, norm)
    ranked, reach = likely_targets(state, targets), eps or 0.0
    for candidates in _rounds(state, ranked, reach, streams, restarts, eps):
        for _ in range(steps):
            left = _open(state, candidates.rows, reach)
            if len(left) == 0:
                break
            candidates = (
                candidates if len(left) == len(candidates.rows) else candidates.select(left)
            )
            gradient, values = _margins(state, candidates)
            parts = torch.arange(len(left), device=left.device).split(state.batched.batch)
            step = partial(_step, state, candidates, gradient, values, alpha_max, eta)
            candidates.points = torch.cat([step(part) for part in parts])
            _step_back(state, candidates, beta)
        _finish(state, candidates.select(_open(state, candidates.rows, reach)))
    return state.result()


def _require(norm, eps, steps, restarts, targets, alpha_max, eta, beta) -> None:
    if norm not in NORMS:
        raise ValueError(f"norm is {norm!r}; allowed are {', '.join(NORMS)}")
    if eps is not None and not eps >= 0:
        raise ValueError(f"eps is {eps!r}; it must be 0 or more, or None")
    counts = f"steps is {steps}, restarts is {restarts} and targets is {targets}"
    if min(steps, restarts, targets) < 1:
        raise ValueError(f"{counts}; all must be 1 or more")
    shares = f"alpha_max is {alpha_max} (0 to 1), eta is {eta} (1 or more) and beta is {beta}"
    if not (0 <= alpha_max <= 1 and eta >= 1 and 0 < beta <= 1):
        raise ValueError(f"{shares} (above 0, at most 1)")


def _rounds(
    state: MinimumNormState, ranked: Tensor, reach: float, streams: Streams, restarts: int, eps
) -> Iterator[Candidates]:
    """Give candidates with as many aims at a time as leave room in one chunk of the model.

    Restarts do not climb together: where one starts depends on what the ones before found.
    """
    count, every = ranked.shape[1], torch.arange(len(ranked), device=ranked.device)
    for restart in range(restarts):
        done = 0
        while done < count:
            rows = _open(state, every, reach)
            if len(rows) == 0:
                return
            together = min(count - done, max(1, state.batched.batch // len(rows)))
            aims = ranked[rows, done : done + together].T.flatten()
            rows = rows.repeat(together)
            points = state.images[rows]
            if restart:
                draw = streams.select(rows).fork("restart", restart, aims)
                points = _start(state, rows, draw, eps)
            spans = torch.full_like(points[:, 0, 0, 0], torch.inf)
            yield Candidates(rows, aims, points, points.clone(), spans)
            done += together


def _start(state: MinimumNormState, rows: Tensor, streams: Streams, eps: float | None) -> Tensor:
    known = state.distance()[rows].double()
    radius = known if eps is None else known.clamp(max=eps)
    radius = torch.where(radius.isinf(), START_ELSE[state.norm], radius)
    return balls(state.images[rows], state.norm, START_SHARE * radius).random_start(streams)


def _open(state: MinimumNormState, rows: Tensor, reach: float) -> Tensor:
    """Give the places of rows whose images have no example as near as `reach`."""
    return (state.distance()[rows] > reach * WITHIN).nonzero().squeeze(1)


def _margins(state: MinimumNormState, candidates: Candidates) -> tuple[Tensor, Tensor]:
    """Give the gradients of the aims' margins, and the margins [M]."""
    labels, aims = state.labels[candidates.rows], candidates.aims
    gradient, values, missed = state.gradient(
        candidates.rows,
        candidates.points,
        lambda logits, places: targeted_margin(logits, labels[places], aims[places]),
    )
    candidates.note(state, missed.nonzero().squeeze(1))
    return gradient, values


def _step(
    state: MinimumNormState,
    candidates: Candidates,
    gradient,
    values,
    alpha_max: float,
    eta: float,
    part,
) -> Tensor:
    """Go beyond the boundary as seen from some points, and a little as seen from their images."""
    points, images = candidates.points[part], state.images[candidates.rows[part]]
    normal, values = gradient[part].nan_to_num(0, 0, 0).flatten(1), values[part]
    lack = -values - (normal * (images - points).flatten(1)).sum(1)
    ahead = _onto(points.flatten(1), normal, -values, state.norm)
    beside = _onto(images.flatten(1), normal, lack, state.norm)
    own, other = (_length(move, state.norm) for move in (ahead, beside))
    alpha = per_image((own / (own + other)).clamp(max=alpha_max))
    moved = (points + eta * ahead.view_as(points)) * (1 - alpha)
    return (moved + (images + eta * beside.view_as(points)) * alpha).clamp_(0, 1)


def _step_back(state: MinimumNormState, candidates: Candidates, beta: float) -> None:
    """Keep what is misclassified, and go on from nearer to its image."""
    _, missed = state.screen(candidates.rows, candidates.points)
    places = missed.nonzero().squeeze(1)
    candidates.note(state, places)
    images = state.images[candidates.rows[places]]
    candidates.points[places] = images + beta * (candidates.points[places] - images)


def _length(move: Tensor, norm: str) -> Tensor:
    return torch.linalg.vector_norm(move, ORDERS[norm], dim=1).clamp(min=LEAST)


def _onto(points: Tensor, normal: Tensor, lack: Tensor, norm: str) -> Tensor:
    """Give the shortest move [M, D] in [0, 1] that raises the product with the normal by `lack`.

    Where [0, 1] is too narrow, the move goes as far as it can.
    """
    scale = normal.abs().amax(1).clamp(min=torch.finfo(normal.dtype).tiny)
    slope = normal / scale[:, None] * lack.sign()[:, None]
    room, steep = torch.where(slope > 0, 1 - points, points), slope.abs()
    solve = _greedy if norm == "l1" else _levelled
    return slope.sign() * solve(steep, room, lack.abs() / scale, norm)


def _levelled(steep: Tensor, room: Tensor, need: Tensor, norm: str) -> Tensor:
    """Move all pixels alike (linf) or by their slopes (l2), each at most by its room.

    What is gained is concave in the common level, and made of straight pieces: Newton's method
    from below never leaps over the solution and ends on its piece.
    """
    rate = steep if norm == "l2" else torch.ones_like(steep)
    power, level = steep * rate, torch.zeros_like(need)
    for _ in range(steep.shape[1] + 1):
        wanted = level[:, None] * rate
        gained = (steep * torch.minimum(wanted, room)).sum(1)
        pace = (power * (wanted < room)).sum(1)
        rise = torch.where(pace > 0, (need - gained) / pace, 0.0).clamp(min=0)
        rise = torch.where(rise > CLOSE * level, rise, 0.0)
        if not bool(rise.any()):
            break
        level = level + rise
    return torch.minimum(level[:, None] * rate, room)


def _greedy(steep: Tensor, room: Tensor, need: Tensor, norm: str) -> Tensor:
    """Move the steepest pixels as far as they can until enough is gained."""
    steep, order = steep.double().sort(dim=1, descending=True, stable=True)
    room = room.gather(1, order).double()
    gained = (steep * room).cumsum(1) - steep * room
    tiny = torch.finfo(torch.float32).tiny
    moves = ((need[:, None] - gained).clamp(min=0) / steep.clamp(min=tiny)).minimum(room)
    return torch.zeros_like(moves).scatter(1, order, moves).to(need.dtype)


def _finish(state: MinimumNormState, candidates: Candidates) -> None:
    """Halve the way from the images to each candidate's nearest."""
    candidates = candidates.select(candidates.spans.isfinite().nonzero().squeeze(1))
    if len(candidates.rows) == 0:
        return
    images, low = state.images[candidates.rows], torch.zeros_like(candidates.spans)
    offset, high = candidates.nearest - images, candidates.spans
    for _ in range(HALVINGS):
        span = (low + high) / 2
        if state.norm == "linf":
            move = offset.clamp(-per_image(span), per_image(span))
        else:
            move = offset * per_image(span / candidates.spans)
        _, missed = state.judge(candidates.rows, (images + move).clamp_(0, 1))
        low, high = torch.where(missed, low, span), torch.where(missed, span, high)
