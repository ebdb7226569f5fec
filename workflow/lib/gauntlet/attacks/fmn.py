"""The fast minimum-norm attack."""

from math import cos, pi

import torch
from torch import Tensor

from gauntlet.attacks.base.entry import attack
from gauntlet.attacks.base.gradients import length, unit
from gauntlet.attacks.base.losses import margin
from gauntlet.attacks.base.norm_balls import balls
from gauntlet.attacks.base.settings import require_counts
from gauntlet.attacks.base.state import MinimumNormState
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import AttackResult

DUALS = {"linf": 1, "l2": 2, "l1": float("inf")}
STEP, LAST_STEP = 1.0, 0.01
CHANGE, LAST_CHANGE = 0.05, 0.001  # share by which a radius changes at each step
LEAST = 1e-4  # radius of an image that lies on a boundary
NORMS = ("linf", "l2", "l1")
FORWARDS = "restarts * (steps + 1)"
BACKWARDS = "restarts * steps"


@attack
def fmn(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    streams: Streams,
    norm: str,
    steps: int = 100,
    restarts: int = 1,
) -> AttackResult:
    """Raise the margin in a ball that shrinks after a success and grows after a failure.

    Source: Pintor et al. 2021, "Fast Minimum-norm Adversarial Attacks through Adaptive Norm
    Constraints". Shapes: images [N, C, H, W] float32 in [0, 1], labels [N] int64; norms linf, l2,
    l1; all images take all steps. The first run starts at the image, further ones at random points
    of the ball of the distance found so far. Departures: the projection meets box and ball at once,
    not in turn; the guessed radius goes a little beyond the linear model's boundary, and always
    grows until an example is found.
    Raises ValueError for an unknown norm, or steps or restarts below 1.
    """
    if norm not in NORMS:
        raise ValueError(f"norm is {norm!r}; allowed are {', '.join(NORMS)}")
    require_counts(steps=steps, restarts=restarts)
    state = MinimumNormState(model, images, labels, norm)
    start = images
    for restart in range(restarts):
        if restart:
            reach = state.distance().nan_to_num(posinf=1.0)
            own = streams.fork("restart", restart)
            start = balls(images, norm, reach.double()).random_start(own)
        _run(state, start, steps)
    return state.result()


def _run(state: MinimumNormState, examples: Tensor, steps: int) -> None:
    images, labels = state.images, state.labels
    rows = torch.arange(len(images), device=images.device)
    radius = torch.full_like(state.value, torch.inf)
    for number in range(steps):
        gradient, values, missed = state.gradient(
            rows, examples, lambda logits, places: margin(logits, labels[places])
        )
        left = (1 + cos(pi * number / steps)) / 2
        change = LAST_CHANGE + (CHANGE - LAST_CHANGE) * left
        radius = _next_radius(state, examples, gradient, values, missed, radius, change)
        move = (LAST_STEP + (STEP - LAST_STEP) * left) * unit(gradient)
        examples = balls(images, state.norm, radius.double()).project(examples + move)
    state.judge(rows, examples)


def _next_radius(state, examples, gradient, values, missed, radius, change: float) -> Tensor:
    """Guess a radius by the linear model until one succeeds; then shrink or grow it.

    Guesses alone can converge to a boundary and end on it, where the label still wins the tie.
    """
    rows = torch.arange(len(radius), device=radius.device)
    slope = length(gradient, DUALS[state.norm]).clamp(min=torch.finfo(torch.float32).tiny)
    guess = state.measure(rows, examples) + (values.abs() / slope).float() * (1 + change)
    largest = state.images[0].numel()  # no distance in [0, 1] is larger
    longer = (radius * (1 + change)).nan_to_num(posinf=LEAST)
    grown = torch.where(state.success, longer, torch.maximum(guess, longer))
    smaller = torch.minimum(radius * (1 - change), state.distance())
    return torch.where(missed, smaller, grown).nan_to_num(posinf=largest).clamp(max=largest)
