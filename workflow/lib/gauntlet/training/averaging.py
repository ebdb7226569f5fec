"""The average of a training's weights: exponential by update (EMA), or equal by epoch (SWA)."""

import copy

import torch
from torch import nn

from gauntlet.training.optimizers import average_into


class WeightAverage:
    """The average of a model's weights, or the model itself where neither average is asked for.

    Sources: Polyak & Juditsky 1992 (EMA); Izmailov et al. 2018, "Averaging Weights Leads to Wider
    Optima and Better Generalization" (SWA), which averages the statistics of batch norm too.
    """

    def __init__(self, model: nn.Module, training: dict):
        self.model, self.decay, self.start = model, training["ema"], training["swa"]
        own = self.decay or self.start
        self.module = copy.deepcopy(model) if own else model
        self.count = 0  # epochs in the equal average

    def after_update(self) -> None:
        """Take in the weights after an update."""
        if self.decay:
            average_into(self.module, self.model, self.decay)

    def after_epoch(self, done: float) -> None:
        """Take in the weights after an epoch; `done` is the share of the training that is over."""
        if not self.start:
            return
        self.count += done > self.start
        _add(self.module, self.model, max(self.count, 1))

    def state_dict(self) -> dict:
        """Give the average and how many epochs are in it."""
        return {"module": self.module.state_dict(), "count": self.count}

    def load_state_dict(self, state: dict) -> None:
        """Go on from another average."""
        self.module.load_state_dict(state["module"])
        self.count = state["count"]


@torch.no_grad()
def _add(average: nn.Module, model: nn.Module, count: int) -> None:
    """Make a model the `count`-th part of an average; of the first one it is all."""
    for mean, value in zip(_tensors(average), _tensors(model), strict=True):
        if count == 1 or not mean.is_floating_point():
            mean.copy_(value)
        else:
            mean.lerp_(value, 1 / count)


def _tensors(model: nn.Module) -> list[torch.Tensor]:
    return [*model.parameters(), *model.buffers()]
