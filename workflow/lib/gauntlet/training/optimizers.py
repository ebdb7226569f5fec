"""Optimizers, learning-rate schedules and the moving average of weights."""

from collections.abc import Callable
from math import cos, pi

import torch
from torch import nn

PEAK = 0.4  # cyclic: the learning rate rises during this share of the training
DROPS = (0.5, 0.75)  # piecewise: shares after which the learning rate is divided by ten

SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "cosine": lambda done: 0.5 * (1 + cos(pi * done)),
    "cyclic": lambda done: done / PEAK if done < PEAK else (1 - done) / (1 - PEAK),
    "piecewise": lambda done: 0.1 ** sum(done >= drop for drop in DROPS),
}


def make_optimizer(model: nn.Module, training: dict) -> torch.optim.Optimizer:
    """Make the optimizer that `training` names: adam, adamw or sgd."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    common = {"lr": training["learning_rate"], "weight_decay": training["weight_decay"]}
    if training["optimizer"] == "sgd":
        return torch.optim.SGD(weights, momentum=training["momentum"], **common)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[training["optimizer"]]
    return kind(weights, **common)


def set_learning_rate(optimizer: torch.optim.Optimizer, training: dict, done: float) -> float:
    """Set the learning rate for the share of the training that is done, in [0, 1]."""
    rate = training["learning_rate"] * SCHEDULES[training["schedule"]](done)
    for group in optimizer.param_groups:
        group["lr"] = rate
    return rate


@torch.no_grad()
def average_into(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Update the moving average of the model's weights; buffers are copied."""
    for mean, weight in zip(average.parameters(), model.parameters(), strict=True):
        mean.lerp_(weight, 1 - decay)
    for mean, buffer in zip(average.buffers(), model.buffers(), strict=True):
        mean.copy_(buffer)
