"""One training step: a defense's loss of one batch, and how the weights move by it."""

import copy
import inspect
from collections.abc import Callable

import torch
from torch import Tensor, nn

from gauntlet.attacks import bind
from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.image_rng import Streams
from gauntlet.core.plugins import load
from gauntlet.models import evaluating
from gauntlet.training.data_parallel import DataParallel, SingleProcess
from gauntlet.training.optimizers import average_into, make_optimizer, set_learning_rate


class Step(nn.Module):
    """One defense's loss of one batch, with the attack and precision that it asks for."""

    def __init__(self, model: nn.Module, spec: dict):
        super().__init__()
        settings = dict(spec["defense"])
        self.model, self.precision = model, spec["training"]["precision"]
        self.ramp, self.batch = spec["training"]["ramp"], spec["training"]["batch"]
        self.loss = load("training.defenses", settings.pop("kind"))
        self.inner = settings.pop("attack", None)
        self.settings = settings
        self.wants = inspect.signature(self.loss).parameters

    def forward(self, images: Tensor, labels: Tensor, crafted, stream, done: float) -> Tensor:
        """Give the loss of a batch; `done` in [0, 1] is the share of the training that is over."""
        extra = {"attack": self._attacked(stream, done)} if "attack" in self.wants else {}
        extra |= {"crafted": crafted} if "crafted" in self.wants else {}
        extra |= {"size": self._size(done)} if "size" in self.wants else {}
        with self._autocast(images):
            return self.loss(self.model, images, labels, generator=stream, **extra, **self.settings)

    def _size(self, done: float) -> float:
        """Give the attack's radius as a share of its full one: it grows during the ramp."""
        return min(1.0, done / self.ramp) if self.ramp else 1.0

    def _attacked(self, stream, done: float) -> Callable[[Tensor, Tensor], Tensor]:
        size = self._size(done)
        lengths = {key: self.inner[key] * size for key in ("eps", "step") if key in self.inner}
        chosen = bind(self.inner | lengths)
        batched = BatchedModel(self.model, self.batch, self.precision)

        def attack(images: Tensor, labels: Tensor) -> Tensor:
            streams = Streams.from_generator(stream, len(images))
            with evaluating(self.model):
                return chosen(batched, images, labels, streams=streams, early_stop=False).images

        return attack

    def _autocast(self, images: Tensor):
        lower = self.precision == "bfloat16"
        return torch.autocast(images.device.type, torch.bfloat16, enabled=lower)


class Learner:
    """A model in training; `average` is its moving average, or the model itself without `ema`."""

    def __init__(self, model: nn.Module, spec: dict, processes: SingleProcess | DataParallel):
        self.model, self.training = model, spec["training"]
        self.optimizer = make_optimizer(model, self.training)
        self.average = copy.deepcopy(model) if self.training["ema"] else model
        self.losses = processes.losses(Step(model, spec))

    def parts(self) -> dict:
        """Give the parts whose states a checkpoint holds, by name."""
        return {"model": self.model, "average": self.average, "optimizer": self.optimizer}

    def set_rate(self, done: float) -> float:
        """Set the learning rate for the share `done` of the training, and return it."""
        return set_learning_rate(self.optimizer, self.training, done)

    def update(self, images: Tensor, labels: Tensor, crafted, stream, done: float) -> Tensor:
        """Update the weights on one batch and give its mean loss.

        Raises FloatingPointError, and changes no weight, if the loss is not finite.
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
