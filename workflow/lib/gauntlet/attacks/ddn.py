"""Decoupled direction and norm: nearest l2 examples."""

from math import cos, pi

import torch
from torch import Tensor

from gauntlet.attacks.base.entry import attack
from gauntlet.attacks.base.gradients import length, unit
from gauntlet.attacks.base.losses import ce, margin, others, picked
from gauntlet.attacks.base.state import MinimumNormState
from gauntlet.core.batched_model import Objective
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import AttackResult, per_image

FIRST, LAST = 1.0, 0.01  # length of the first and the last step
RADIUS = 1.0  # of the first sphere
FIRST_GAMMA = 0.3  # until an image has had a success and a failure: the scale is found quickly
LAST_GAMMA = 0.02  # share of gamma that is left at the end
TINY = 1e-12
EARLY = 0.5  # share of the steps that raise the cross-entropy
GAP = 10.0  # from the label's logit to the mean of the others, after scaling
LEAST_GAP = 1e-6
NORMS = ("l2",)
FORWARDS = "steps + 2"
BACKWARDS = "steps"


@attack
def ddn(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    streams: Streams,
    norm: str = "l2",
    steps: int = 100,
    gamma: float = 0.05,
) -> AttackResult:
    """Raise a loss on a sphere that shrinks after a success and grows after a failure.

    Source: Rony et al. 2019, "Decoupling Direction and Norm for Efficient Gradient-Based L2
    Adversarial Attacks and Defenses". Shapes: images [N, C, H, W] float32 in [0, 1], labels [N]
    int64; norm l2 only; all images take all steps. Departures: the cross-entropy is that of logits
    scaled so that an image's clean ones lie 10 apart, and the second half of the steps raises the
    margin, so that neither the scale of logits nor a mixture of classes prevents success; the
    radius changes by 0.3 until an image has had a success and a failure, then `gamma` falls along a
    cosine, so that the last spheres lie close together; examples are not rounded to 8 bits.
    Raises ValueError for another norm, steps below 1 or a gamma outside 0 to 1.
    """
    if norm != "l2":
        raise ValueError(f"norm is {norm!r}; allowed is l2")
    if steps < 1 or not 0 < gamma < 1:
        raise ValueError(f"steps is {steps} (1 or more) and gamma is {gamma} (above 0, below 1)")
    state = MinimumNormState(model, images, labels, norm)
    rows, examples = torch.arange(len(images), device=images.device), images
    early, late = _losses(state, rows)
    radius, failed = torch.full_like(state.value, RADIUS), torch.zeros_like(state.success)
    for number in range(steps):
        gradient, _, missed = state.gradient(
            rows, examples, early if number < EARLY * steps else late
        )
        left = (1 + cos(pi * number / steps)) / 2
        failed |= ~missed & (number > 0)
        final_gamma = gamma * (LAST_GAMMA + (1 - LAST_GAMMA) * left)
        change = torch.where(failed & state.success, final_gamma, max(FIRST_GAMMA, gamma))
        radius = radius * torch.where(missed, 1 - change, 1 + change)
        radius = torch.minimum(radius, state.distance())
        direction = _direction(gradient, streams.fork(number))
        delta = examples - images + (LAST + (FIRST - LAST) * left) * direction
        span = delta.flatten(1).norm(dim=1).clamp(min=TINY)
        examples = (images + delta * per_image(radius / span)).clamp(0, 1)
    state.judge(rows, examples)
    return state.result()


def _losses(state: MinimumNormState, rows: Tensor) -> tuple[Objective, Objective]:
    """Give the objectives of the early steps (all classes) and of the late ones (two classes)."""
    labels = state.labels
    clean, _ = state.judge(rows, state.images)
    rivals = others(clean, labels).nan_to_num(neginf=0).sum(1) / (clean.shape[1] - 1)
    scale = GAP / (picked(clean, labels) - rivals).clamp(min=LEAST_GAP)

    def early(logits: Tensor, places: Tensor) -> Tensor:
        return ce(logits * scale[places, None], labels[places])

    def late(logits: Tensor, places: Tensor) -> Tensor:
        return margin(logits, labels[places])

    return early, late


def _direction(gradient: Tensor, streams: Streams) -> Tensor:
    """Scale each image's gradient to length 1; where it is zero, draw a direction."""
    flat = length(gradient) == 0
    if bool(flat.any()):
        drawn = streams.normal(*gradient.shape[1:], device=gradient.device)
        gradient = torch.where(per_image(flat), drawn, gradient)
    return unit(gradient)
