"""One defense's loss of one batch."""

import inspect
from collections.abc import Callable

import torch
from torch import Tensor, nn

from gauntlet.attacks import bind
from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.image_rng import Streams
from gauntlet.core.plugins import load
from gauntlet.models import evaluating


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
        """Give the loss of a batch when the share `done` of the training is over."""
        extra = {"attack": self._attacked(stream, done)} if "attack" in self.wants else {}
        extra |= {"crafted": crafted} if "crafted" in self.wants else {}
        extra |= {"size": self._size(done)} if "size" in self.wants else {}
        with self._autocast(images):
            return self.loss(self.model, images, labels, generator=stream, **extra, **self.settings)

    def _size(self, done: float) -> float:
        """Give the share of its full strength that the attack has by now."""
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
