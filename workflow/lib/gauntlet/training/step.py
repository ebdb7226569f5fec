"""One training step: a defense's loss of one batch, and how the weights move by it."""

import inspect
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gauntlet.core.fast_layers import FastLayers
from gauntlet.core.plugin_facts import facts
from gauntlet.core.plugins import load
from gauntlet.training.adversarial_weights import perturbed
from gauntlet.training.averaging import WeightAverage
from gauntlet.training.data_parallel import DataParallel, SingleProcess
from gauntlet.training.freezing import freeze_first, train_mode
from gauntlet.training.gradient_watch import GradientWatch
from gauntlet.training.inner import Inner
from gauntlet.training.memory import Memory
from gauntlet.training.optimizers import make_optimizer, set_learning_rate
from gauntlet.training.precision import widened
from gauntlet.training.ramp import radius_share
from gauntlet.training.rollback import Rollback

FAMILY = "training.defenses"


def is_single_step(defense: dict) -> bool:
    """Tell whether a defense trains on examples of one step, which can collapse."""
    inner = defense.get("attack")
    stepped = inner is not None and inner.get("steps", 1) == 1
    return stepped or bool(facts(FAMILY, defense["kind"]).get("SINGLE_STEP"))


class Step(nn.Module):
    """One defense's loss of one batch, with what it asks for: attack, precision, memory.

    `step_share` is the share of the inner attack's step that is left after rollbacks; while
    `given` is set, it is used inside in place of a new attack.
    """

    def __init__(self, model: nn.Module, spec: dict, teacher: nn.Module | None = None):
        super().__init__()
        settings = dict(spec["defense"])
        single = is_single_step(settings)
        self.model, self.precision = model, spec["training"]["precision"]
        self.training_settings, self.batch = spec["training"], spec["training"]["batch"]
        self.loss = load(FAMILY, settings.pop("kind"))
        self.attack = settings.pop("attack", None)
        settings.pop("teacher", None)
        self.teacher = teacher and partial(_answers, teacher)
        self.settings = settings
        self.wants = inspect.signature(self.loss).parameters
        self.memory, self.step_share = Memory(), 1.0
        self.given: Inner | None = None
        self.watch = GradientWatch(single and bool({"attack", "inner"} & set(self.wants)))

    def forward(self, images: Tensor, labels: Tensor, crafted, stream, done: float) -> Tensor:
        """Give the loss of a batch; `done` in [0, 1] is the share of the training that is over."""
        inner = self.given or self.inner(stream, done)
        offered = {"crafted": crafted, "memory": self.memory, "inner": inner}
        offered |= {"teacher": self.teacher}
        offered |= {"attack": inner.attack, "size": inner.size}
        extra = {name: given for name, given in offered.items() if name in self.wants}
        with self._autocast(images):
            return self.loss(self.model, images, labels, generator=stream, **extra, **self.settings)

    def inner(self, stream, done: float) -> Inner:
        """Give what the defense computes inside, at this point of the training."""
        size = radius_share(self.training_settings, done)
        made = Inner(self.model, self.attack, size, self.step_share, stream)
        made.batch, made.precision, made.watch = self.batch, self.precision, self.watch
        return made

    def _autocast(self, images: Tensor):
        lower = self.precision == "bfloat16"
        return torch.autocast(images.device.type, torch.bfloat16, enabled=lower)


@torch.no_grad()
def _answers(teacher: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Give a teacher's logits [N, K], in float32."""
    with torch.autocast(images.device.type, enabled=False):
        return widened(teacher(images))


class Update(NamedTuple):
    """What an update found: its mean loss, and the watched cosines, their sum and number [2]."""

    loss: Tensor
    cosines: Tensor


class Learner:
    """A model in training; `average` is the average of its weights, or the model itself.

    `teacher` is a model in eval mode for a defense that asks for one.
    """

    def __init__(
        self,
        model: nn.Module,
        spec: dict,
        processes: SingleProcess | DataParallel,
        teacher: nn.Module | None = None,
    ):
        self.model, self.training = model, spec["training"]
        self.frozen = freeze_first(model, self.training["freeze"])
        self.optimizer = make_optimizer(model, self.training)
        self.average = WeightAverage(model, self.training)
        self.step, self.processes = Step(model, spec, teacher), processes
        self.replays = spec["defense"].get("replays", 1)
        self.losses = processes.losses(self.step)
        self.rollback = Rollback(self._moving()) if self.training["rollback"] else None

    def _moving(self) -> dict:
        moving = {"model": self.model, "average": self.average, "optimizer": self.optimizer}
        return moving | {"memory": self.step.memory}

    def parts(self) -> dict:
        """Give the parts whose states a checkpoint holds, by name."""
        return self._moving() | ({"rollback": self.rollback} if self.rollback else {})

    def train(self) -> None:
        """Put the model in train mode, but layers that are frozen."""
        train_mode(self.model, self.frozen)

    @property
    def watching(self) -> bool:
        """Tell whether updates watch the cosine between gradients."""
        return self.step.watch.watching

    def set_rate(self, done: float) -> float:
        """Set the learning rate for the share `done` of the training, and return it."""
        return set_learning_rate(self.optimizer, self.training, done)

    def update(self, images: Tensor, labels: Tensor, crafted, stream, done: float) -> Update:
        """Update the weights on one batch, `replays` times for a defense that has this setting.

        Raises FloatingPointError, and changes no weight, if the loss is not finite.
        """
        self.step.step_share = self.rollback.share if self.rollback else 1.0
        batch = (images, labels, crafted, stream, done)
        found = [self._update(batch) for _ in range(self.replays)]
        if self.replays == 1:
            return found[0]
        loss = torch.stack([update.loss for update in found]).mean()
        return Update(loss, sum(update.cosines for update in found))

    def _update(self, batch: tuple) -> Update:
        with FastLayers(), self._moved_weights(batch):
            loss, mean = self.losses(*batch)
            if not bool(mean.isfinite()):
                raise FloatingPointError("the loss is not finite")
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
        self.optimizer.step()
        self.average.after_update()
        cosines = self.step.watch.cosines()
        return Update(mean, self.processes.summed(cosines) if self.watching else cosines)

    def _moved_weights(self, batch: tuple):
        """Perturb the weights while a loss and its gradient are computed, if that is asked for."""
        awp, done = self.training["awp"], batch[-1]
        active = awp and done >= awp["start"]
        return perturbed(self.step, batch, awp["gamma"]) if active else nullcontext()
