"""Targeted FAB, the fast adaptive boundary attack: steps along the linearized boundary."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from gauntlet.attacks.base.entry import attack
from gauntlet.attacks.base.hyperplane import move_onto
from gauntlet.attacks.base.losses import likely_targets, targeted_margin
from gauntlet.attacks.base.norm_balls import balls
from gauntlet.attacks.base.settings import require_counts
from gauntlet.attacks.base.state import MinimumNormState
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import ORDERS, AttackResult, per_image

HALVINGS = 10  # of the way from the image to its example: precise to 0.1 %
START_SHARE = 0.5  # radius of random starts, as a share of eps or of the distance found so far
START_ELSE = {"linf": 0.3, "l2": 1.0, "l1": 5.0}  # the radius where neither is known
WITHIN = 1 - 1e-6  # of eps: float32 distances are not exact
LEAST = 1e-8  # length of a move in a ratio of lengths
NORMS = ("linf", "l2", "l1")
FORWARDS = "1 + restarts * min(targets, classes - 1) * (2 * steps + HALVINGS)"
BACKWARDS = "restarts * min(targets, classes - 1) * steps"


@dataclass
class Candidates:
    """Runs that take steps together: points [M, C, H, W] and one value each [M]."""

    rows: Tensor  # the image that each run belongs to
    targets: Tensor  # its other class
    points: Tensor
    nearest: Tensor  # the nearest misclassified point of the run
    distances: Tensor  # that point's distance from the image, infinity without one

    def select(self, places: Tensor) -> "Candidates":
        """Keep the named candidates only."""
        return Candidates(**{name: values[places] for name, values in vars(self).items()})

    def record(self, state: MinimumNormState, places: Tensor) -> None:
        """Keep the points of some candidates, all misclassified, if they are nearer than before."""
        found = state.measure(self.rows[places], self.points[places])
        better = found < self.distances[places]
        places, found = places[better], found[better]
        self.nearest[places], self.distances[places] = self.points[places], found


@attack
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
    """Look for the nearest misclassified example along the boundaries to other classes.

    Source: Croce & Hein 2020, "Minimally distorted Adversarial Examples with a Fast Adaptive
    Boundary Attack"; defaults as in AutoAttack. Shapes: images [N, C, H, W] float32 in [0, 1],
    labels [N] int64; `eps` in the images' unit; norms linf, l2, l1. Targets are the classes of
    highest clean logits; every run takes `steps`, the first of each target starts at the image.
    With an `eps`, an image is done as soon as its example is that near; examples may be farther.
    Departures: the boundary's threshold is found by Newton's method (exact, as the reference's
    sorting is); the point after a backward step is judged too; random starts are uniform in the
    ball of half of eps or of half of the distance found so far; the binary search at the end makes
    10 halvings for each run (for linf of the box around the image).
    Raises ValueError for an unknown norm, a negative eps, steps, restarts or targets below 1, an
    alpha_max outside 0 to 1, eta below 1, or beta outside 0 (excluded) to 1.
    """
    _require(norm, eps, steps, restarts, targets, alpha_max, eta, beta)
    state = MinimumNormState(model, images, labels, norm)
    ranked, reach = likely_targets(state, targets), eps or 0.0
    for candidates in _rounds(state, ranked, reach, streams, restarts, eps):
        for _ in range(steps):
            left = _unsolved(state, candidates.rows, reach)
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
        _finish(state, candidates.select(_unsolved(state, candidates.rows, reach)))
    return state.result()


def _require(norm, eps, steps, restarts, targets, alpha_max, eta, beta) -> None:
    if norm not in NORMS:
        raise ValueError(f"norm is {norm!r}; allowed are {', '.join(NORMS)}")
    if eps is not None and not eps >= 0:
        raise ValueError(f"eps is {eps!r}; it must be 0 or more, or None")
    require_counts(steps=steps, restarts=restarts, targets=targets)
    shares = f"alpha_max is {alpha_max} (0 to 1), eta is {eta} (1 or more) and beta is {beta}"
    if not (0 <= alpha_max <= 1 and eta >= 1 and 0 < beta <= 1):
        raise ValueError(f"{shares} (above 0, at most 1)")


def _rounds(
    state: MinimumNormState, ranked: Tensor, reach: float, streams: Streams, restarts: int, eps
) -> Iterator[Candidates]:
    """Give runs for as many targets at a time as fit in one chunk of the model.

    Restarts run one after another: a start depends on what the runs before it found.
    """
    count, every = ranked.shape[1], torch.arange(len(ranked), device=ranked.device)
    for restart in range(restarts):
        done = 0
        while done < count:
            rows = _unsolved(state, every, reach)
            if len(rows) == 0:
                return
            together = min(count - done, max(1, state.batched.batch // len(rows)))
            targets = ranked[rows, done : done + together].T.flatten()
            rows = rows.repeat(together)
            points = state.images[rows]
            if restart:
                draw = streams.select(rows).fork("restart", restart, targets)
                points = _start(state, rows, draw, eps)
            distances = torch.full_like(points[:, 0, 0, 0], torch.inf)
            yield Candidates(rows, targets, points, points.clone(), distances)
            done += together


def _start(state: MinimumNormState, rows: Tensor, streams: Streams, eps: float | None) -> Tensor:
    known = state.distance()[rows].double()
    radius = known if eps is None else known.clamp(max=eps)
    radius = torch.where(radius.isinf(), START_ELSE[state.norm], radius)
    return balls(state.images[rows], state.norm, START_SHARE * radius).random_start(streams)


def _unsolved(state: MinimumNormState, rows: Tensor, reach: float) -> Tensor:
    """Give the places of rows whose images have no example within `reach`."""
    return (state.distance()[rows] > reach * WITHIN).nonzero().squeeze(1)


def _margins(state: MinimumNormState, candidates: Candidates) -> tuple[Tensor, Tensor]:
    """Give the gradients of the targets' margins, and the margins [M]."""
    labels, targets = state.labels[candidates.rows], candidates.targets
    gradient, values, missed = state.gradient(
        candidates.rows,
        candidates.points,
        lambda logits, places: targeted_margin(logits, labels[places], targets[places]),
    )
    candidates.record(state, missed.nonzero().squeeze(1))
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
    """Project points, and their images, onto the linearized boundary, and mix both results."""
    points, images = candidates.points[part], state.images[candidates.rows[part]]
    normal, values = gradient[part].nan_to_num(0, 0, 0).flatten(1), values[part]
    lack = -values - (normal * (images - points).flatten(1)).sum(1)
    from_point = move_onto(points.flatten(1), normal, -values, state.norm)
    from_image = move_onto(images.flatten(1), normal, lack, state.norm)
    own, other = (_length(move, state.norm) for move in (from_point, from_image))
    alpha = per_image((own / (own + other)).clamp(max=alpha_max))
    moved = (points + eta * from_point.view_as(points)) * (1 - alpha)
    return (moved + (images + eta * from_image.view_as(points)) * alpha).clamp_(0, 1)


def _step_back(state: MinimumNormState, candidates: Candidates, beta: float) -> None:
    """Record misclassified points, and move them towards their images."""
    _, missed = state.judge(candidates.rows, candidates.points)
    places = missed.nonzero().squeeze(1)
    candidates.record(state, places)
    images = state.images[candidates.rows[places]]
    candidates.points[places] = images + beta * (candidates.points[places] - images)


def _length(move: Tensor, norm: str) -> Tensor:
    return torch.linalg.vector_norm(move, ORDERS[norm], dim=1).clamp(min=LEAST)


def _finish(state: MinimumNormState, candidates: Candidates) -> None:
    """Search the way from the image to each run's nearest point for a nearer one, by halving."""
    candidates = candidates.select(candidates.distances.isfinite().nonzero().squeeze(1))
    if len(candidates.rows) == 0:
        return
    images, low = state.images[candidates.rows], torch.zeros_like(candidates.distances)
    offset, high = candidates.nearest - images, candidates.distances
    for _ in range(HALVINGS):
        span = (low + high) / 2
        if state.norm == "linf":
            move = offset.clamp(-per_image(span), per_image(span))
        else:
            move = offset * per_image(span / candidates.distances)
        _, missed = state.judge(candidates.rows, (images + move).clamp_(0, 1))
        low, high = torch.where(missed, low, span), torch.where(missed, span, high)
