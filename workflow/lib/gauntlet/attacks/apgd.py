"""Auto-PGD with an untargeted loss."""

import torch
from torch import Tensor

from gauntlet.attacks._auto import auto_climb
from gauntlet.attacks._descent import full_strength, rounds
from gauntlet.attacks._hunt import Hunt
from gauntlet.attacks._losses import LOSSES, choose_loss, class_count
from gauntlet.balls import ball
from gauntlet.streams import Streams
from gauntlet.threat import Attempt


def apgd(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    streams: Streams,
    norm: str,
    eps: float,
    steps: int = 100,
    restarts: int = 1,
    loss: str = "ce",
    early_stop: bool = True,
) -> Attempt:
    """Climb a loss (ce, dlr or margin) by steps that set their own length, from random starts.

    Sources: Croce & Hein 2020, "Reliable Evaluation of Adversarial Robustness with an Ensemble of
    Diverse Parameter-free Attacks"; l1 as in Croce & Hein 2021, "Mind the Box". Shapes: images
    [N, C, H, W] float32 in [0, 1], labels [N] int64; `eps` in the images' unit; norms linf, l2, l1.
    Departures: starts are uniform in the ball (not stretched to its face); l1 makes no run in
    larger balls before. Without `early_stop`, one climb of full length gives every image's point
    of highest loss, for transfer and loss statistics (`restarts` must then be 1).
    Raises ValueError for a loss that needs more classes, or steps or restarts below 1.
    """
    if steps < 1 or restarts < 1:
        raise ValueError(f"steps is {steps} and restarts is {restarts}; both must be 1 or more")
    area, hunt = ball(images, norm, eps), Hunt(model, images, labels)
    chosen = LOSSES[loss] if loss == "ce" else choose_loss(loss, class_count(hunt))

    def climbed(logits: Tensor, truth: Tensor, aim: Tensor) -> Tensor:
        return chosen(logits, truth)

    if not early_stop:
        assert restarts == 1, "a climb of full length has one start"
        rows, start = torch.arange(len(images), device=images.device), area.random_start(streams)
        found = auto_climb(hunt, area, rows, start, rows, steps=steps, loss=climbed, drop=False)
        return full_strength(found, steps + 1)
    for rows, restart in rounds(hunt, restarts):
        part = area.select(rows)
        start = part.random_start(streams.select(rows).fork("restart", restart))
        auto_climb(hunt, part, rows, start, restart, steps=steps, loss=climbed)
    return hunt.attempt()
