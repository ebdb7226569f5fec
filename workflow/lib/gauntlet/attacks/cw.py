"""The attack of Carlini and Wagner: nearest l2 examples by Adam, with a search for the weight."""

from math import cos, pi

import torch
from torch import Tensor

from gauntlet.attacks.base.entry import attack
from gauntlet.attacks.base.gradients import length
from gauntlet.attacks.base.losses import margin
from gauntlet.attacks.base.state import MinimumNormState
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import AttackResult

LEAST_FIRST, MOST_FIRST, MOST_WEIGHT = 1e-20, 1e20, 1e24
FACTOR = 10  # from one weight to the next, until one fails and one succeeds
LAST = 0.01  # share of the learning rate that is left at the end
STRETCH = 0.95  # of tanh: 0 and 1 lie where its slope is not zero
BETAS, SMALL = (0.9, 0.999), 1e-8
PATIENCE = 4  # a run ends after a quarter of the steps without progress
NORMS = ("l2",)
FORWARDS = "1 + steps * search_steps"
BACKWARDS = "1 + steps * search_steps"


@attack
def cw(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    streams: Streams,
    norm: str = "l2",
    steps: int = 200,
    search_steps: int = 9,
    learning_rate: float = 0.1,
    confidence: float = 0.0,
) -> AttackResult:
    """Minimize the squared distance plus a weight times the remaining margin, per image.

    Source: Carlini & Wagner 2017, "Towards Evaluating the Robustness of Neural Networks". Shapes:
    images [N, C, H, W] float32 in [0, 1], labels [N] int64; norm l2 only; `confidence` in logits.
    The weight of each image is found by bisection. Departures: 200 steps for each weight, not
    10,000, with a learning rate that falls along a cosine; the first weight is the best one for a
    linear model, so that the scale of logits does not matter; tanh is stretched beyond [0, 1] and
    cut, so that black and white pixels can move; each image ends its run when its objective no
    longer falls.
    Raises ValueError for another norm, steps or search_steps below 1, a learning_rate that is not
    above 0, or a negative confidence.
    """
    if norm != "l2":
        raise ValueError(f"norm is {norm!r}; allowed is l2")
    if min(steps, search_steps) < 1 or not learning_rate > 0 or not confidence >= 0:
        raise ValueError(
            f"steps is {steps} and search_steps is {search_steps} (1 or more), learning_rate is "
            f"{learning_rate} (above 0) and confidence is {confidence} (0 or more)"
        )
    state = MinimumNormState(model, images, labels, norm)
    weight = _first_weight(state)
    low, high = torch.zeros_like(weight), torch.full_like(weight, MOST_WEIGHT)
    for _ in range(search_steps):
        success = _minimize(state, weight, steps, learning_rate, confidence)
        high = torch.where(success, torch.minimum(high, weight), high)
        low = torch.where(success, low, torch.maximum(low, weight))
        between = torch.where(low > 0, (low * high).sqrt(), high / FACTOR)
        grown = (low * FACTOR).clamp(max=MOST_WEIGHT)
        weight = torch.where(high < MOST_WEIGHT, between, grown)
    return state.result()


def _first_weight(state: MinimumNormState) -> Tensor:
    """Give the weight [N] for which the nearest example of a linear model has the least cost."""
    rows, labels = torch.arange(len(state.images), device=state.images.device), state.labels
    gradient, value, _ = state.gradient(
        rows, state.images, lambda logits, places: margin(logits, labels[places])
    )
    steep = length(gradient).square().clamp(min=torch.finfo(torch.float64).tiny)
    return (-2 * value / steep).clamp(LEAST_FIRST, MOST_FIRST).float()


def _minimize(state: MinimumNormState, weight: Tensor, steps: int, rate: float, confidence: float):
    """Run Adam with one weight per image; tell which images succeeded: bool [N]."""
    rows = torch.arange(len(weight), device=weight.device)
    variable = torch.atanh((2 * state.images - 1) * STRETCH)
    mean, spread = torch.zeros_like(variable), torch.zeros_like(variable)
    success = torch.zeros_like(state.success)
    least = torch.full_like(weight, torch.inf)
    for number in range(1, steps + 1):
        squashed = torch.tanh(variable)
        examples = ((squashed / STRETCH + 1) / 2).clamp(0, 1)
        slope, cost, missed = _slope(state, rows, examples, weight[rows], confidence)
        success[rows] |= missed
        slope = slope * (1 - squashed.square()) / (2 * STRETCH)
        mean = BETAS[0] * mean + (1 - BETAS[0]) * slope
        spread = BETAS[1] * spread + (1 - BETAS[1]) * slope.square()
        size = (spread / (1 - BETAS[1] ** number)).sqrt() + SMALL
        learning_rate = rate * (LAST + (1 - LAST) * (1 + cos(pi * number / steps)) / 2)
        variable = variable - learning_rate * mean / (1 - BETAS[0] ** number) / size
        if number % max(steps // PATIENCE, 1) == 0:
            gains = (cost < 0.9999 * least).nonzero().squeeze(1)
            least, rows = cost[gains], rows[gains]
            variable, mean, spread = variable[gains], mean[gains], spread[gains]
            if len(rows) == 0:
                break
    return success


def _slope(state: MinimumNormState, rows, examples, weight, confidence: float):
    """Give the gradient with respect to the image, the objective [M] and which succeeded [M]."""
    labels = state.labels[rows]

    def objective(logits: Tensor, places: Tensor) -> Tensor:
        gap = confidence - margin(logits, labels[places])
        return weight[places] * gap.clamp(min=0)

    gradient, values, missed = state.gradient(rows, examples, objective)
    offset = examples - state.images[rows]
    cost = offset.flatten(1).square().sum(1) + values
    return 2 * offset + gradient, cost, missed
