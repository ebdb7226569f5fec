"""A model with all that moves its weights: loss, optimizer, moving average."""

import copy

from torch import Tensor, nn

from gauntlet.training.data_parallel import DataParallel, SingleProcess
from gauntlet.training.optimizers import average_into, make_optimizer, set_learning_rate
from gauntlet.training.step import Step


class Learner:
    """A model in training; `average` is the model that counts, the moving average if asked for."""

    def __init__(self, model: nn.Module, spec: dict, processes: SingleProcess | DataParallel):
        self.model, self.training = model, spec["training"]
        self.optimizer = make_optimizer(model, self.training)
        self.average = copy.deepcopy(model) if self.training["ema"] else model
        self.losses = processes.losses(Step(model, spec))

    def parts(self) -> dict:
        """Give what has a state, by name."""
        return {"model": self.model, "average": self.average, "optimizer": self.optimizer}

    def set_rate(self, done: float) -> float:
        """Set and give the learning rate for the share of the training that is done."""
        return set_learning_rate(self.optimizer, self.training, done)

    def update(self, images: Tensor, labels: Tensor, crafted, stream, done: float) -> Tensor:
        """Move the weights by one batch and give its mean loss.

        Raises FloatingPointError, and moves nothing, if the loss is not finite.
        """
        loss, mean = self.losses(images, labels, crafted, stream, done)
        if not bool(mean.isfinite()):
            raise FloatingPointError("the loss is not finite")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        if self.training["ema"]:
            average_into(self.average, self.model, self.training["ema"])
        return mean
