"""Training: one loop for every defense; validation each epoch chooses the checkpoint."""

import copy
import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from gauntlet import augment, scoring
from gauntlet.attacks import bind
from gauntlet.attacks.fgsm import fgsm
from gauntlet.collapse import find_collapse
from gauntlet.errors import GauntletError
from gauntlet.lens import Lens
from gauntlet.models import evaluating
from gauntlet.optimizers import average_into, make_optimizer, set_learning_rate
from gauntlet.plugins import load
from gauntlet.progress import Progress
from gauntlet.seeding import generator
from gauntlet.streams import Streams

logger = logging.getLogger(__name__)


@dataclass
class Part:
    """Images [N, C, H, W] float32 in [0, 1] and labels [N] int64, on the device."""

    images: Tensor
    labels: Tensor


@dataclass
class Outcome:
    """What a training leaves: states of the best and the last epoch, history, warnings."""

    best: dict[str, Tensor] = field(default_factory=dict)
    last: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict] = field(default_factory=list)
    best_epoch: int = 0
    warnings: list[str] = field(default_factory=list)


def fit(
    model: nn.Module, spec: dict, train: Part, validation: Part, crafted: Tensor | None = None
) -> Outcome:
    """Train a model in place as the spec says (`defense`, `training`, `seed`, `batch`).

    `crafted` [N, C, H, W] are examples of the training images, in their order. Each epoch
    measures clean, FGSM and PGD accuracy on validation data; the best epoch has the highest PGD
    accuracy, ties go to the higher clean accuracy, then to the earlier epoch. Raises
    NonFiniteLoss if the loss stops being a number.
    """
    outcome, training = Outcome(), spec["training"]
    optimizer, step = make_optimizer(model, training), _Step(model, spec)
    average = copy.deepcopy(model) if training["ema"] else model
    progress = Progress("epoch", training["epochs"])
    for epoch in range(1, training["epochs"] + 1):
        row = {"epoch": epoch}
        row |= _epoch(model, average, optimizer, step, spec, epoch, train, crafted, outcome)
        row |= _validate(average, spec, epoch, validation)
        _keep(outcome, row, average)
        progress.done(epoch, _summary(row))
    _watch_collapse(outcome, spec["defense"])
    return outcome


def choice_record(spec: dict, outcome: Outcome) -> dict:
    """Tell which checkpoint is attacked, by which rule, and what was noticed."""
    training = spec["training"]
    best = training["selection"] == "best"
    chosen = outcome.history[(outcome.best_epoch if best else len(outcome.history)) - 1]
    attack = training["validation_attack"]
    by = f"{attack['kind']}-{attack['steps']}, {attack['norm']} eps {attack['eps']:.4g}"
    rule = f"best robust validation accuracy ({by}), ties by clean" if best else "last epoch"
    return {
        "selection": training["selection"],
        "rule": rule,
        "selected_epoch": chosen["epoch"],
        "epochs": training["epochs"],
        "validation_clean": chosen["validation_clean"],
        "validation_robust": chosen["validation_robust"],
        "warnings": outcome.warnings,
    }


class NonFiniteLoss(GauntletError):
    """The loss is no number any more; `outcome` holds what was good before."""

    def __init__(self, epoch: int, outcome: Outcome):
        super().__init__(
            f"The training loss is not finite in epoch {epoch}; allowed are finite losses "
            f"(lower defenses.*.learning_rate, or start from another defense with init)."
        )
        self.outcome = outcome


class _Step:
    """One defense's loss of one batch, with the attack and precision that it asks for."""

    def __init__(self, model: nn.Module, spec: dict):
        settings = dict(spec["defense"])
        self.model, self.precision = model, spec["training"]["precision"]
        self.ramp, self.batch = spec["training"]["ramp"], spec["training"]["batch"]
        self.loss = load("defenses", settings.pop("kind"))
        self.inner = settings.pop("attack", None)
        self.settings = settings
        self.wants = inspect.signature(self.loss).parameters

    def __call__(self, images: Tensor, labels: Tensor, crafted, stream, done: float) -> Tensor:
        """Give the loss of a batch when the share `done` of the training is over."""
        extra = {"attack": self._attacked(stream, done)} if "attack" in self.wants else {}
        extra |= {"crafted": crafted} if "crafted" in self.wants else {}
        with self._autocast(images):
            return self.loss(self.model, images, labels, generator=stream, **extra, **self.settings)

    def _attacked(self, stream, done: float) -> Callable[[Tensor, Tensor], Tensor]:
        size = min(1.0, done / self.ramp) if self.ramp else 1.0
        lengths = {key: self.inner[key] * size for key in ("eps", "step") if key in self.inner}
        chosen = bind(self.inner | lengths)
        lens = Lens(self.model, self.batch)

        def attack(images: Tensor, labels: Tensor) -> Tensor:
            streams = Streams.from_generator(stream, len(images))
            with evaluating(self.model):
                return chosen(lens, images, labels, streams=streams, early_stop=False).images

        return attack

    def _autocast(self, images: Tensor):
        lower = self.precision == "bfloat16"
        return torch.autocast(images.device.type, torch.bfloat16, enabled=lower)


def _epoch(model, average, optimizer, step, spec, epoch, train: Part, crafted, outcome) -> dict:
    """Update on every training image once; the last batch may be smaller or one larger."""
    training, count = spec["training"], len(train.labels)
    stream = generator(spec["seed"], "train", epoch)
    order = torch.randperm(count, generator=stream).to(train.labels.device)
    change = getattr(augment, training["augment"])
    model.train()
    total = torch.zeros((), device=train.labels.device)
    for number, rows in enumerate(_batches(order, training["batch"])):
        done = (epoch - 1 + number * training["batch"] / count) / training["epochs"]
        rate = set_learning_rate(optimizer, training, done)
        images = change(train.images[rows], stream)
        given = None if crafted is None else crafted[rows]
        loss = step(images, train.labels[rows], given, stream, done)
        if not bool(loss.isfinite()):
            raise NonFiniteLoss(epoch, outcome)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if training["ema"]:
            average_into(average, model, training["ema"])
        total += loss.detach() * len(rows)
    return {"learning_rate": rate, "train_loss": round(float(total) / count, 6)}


def _batches(order: Tensor, size: int) -> list[Tensor]:
    """Cut an order into batches; a single image left over joins the last (batch norm needs two)."""
    parts = list(order.split(size))
    if size > 1 and len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def _validate(model: nn.Module, spec: dict, epoch: int, part: Part) -> dict:
    """Measure clean accuracy, and accuracy under FGSM and under the validation attack."""
    chosen = spec["training"]["validation_attack"]
    quick = {"norm": chosen["norm"], "eps": chosen["eps"], "step": chosen["eps"]}
    with evaluating(model):
        lens = Lens(model, spec["batch"])
        right = scoring.predict(lens, part.images) == part.labels
        held, rows = {"clean": right}, right.nonzero().squeeze(1)
        for name, attack, settings in (("fgsm", fgsm, quick), ("robust", bind(chosen), {})):
            streams = Streams.of_images(spec["seed"], rows, "validation", name, epoch)
            held[name] = torch.zeros_like(right)
            if len(rows):
                images, labels = part.images[rows], part.labels[rows]
                attempt = attack(lens, images, labels, streams=streams, **settings)
                held[name][rows] = scoring.predict(lens, attempt.images) == labels
    return {
        f"validation_{name}": round(float(kept.float().mean()), 6) for name, kept in held.items()
    }


def _keep(outcome: Outcome, row: dict, model: nn.Module) -> None:
    outcome.history.append(row)
    outcome.last = {name: value.detach().clone() for name, value in model.state_dict().items()}
    best = outcome.history[outcome.best_epoch - 1] if outcome.best_epoch else None
    if best is None or _rank(row) > _rank(best):
        outcome.best, outcome.best_epoch = outcome.last, row["epoch"]


def _rank(row: dict) -> tuple[float, float]:
    return row["validation_robust"], row["validation_clean"]


def _watch_collapse(outcome: Outcome, defense: dict) -> None:
    inner = defense.get("attack")
    told = find_collapse(outcome.history, inner is not None and inner.get("steps", 1) == 1)
    if told:
        outcome.warnings.append(told)
        logger.warning(told)


def _summary(row: dict) -> str:
    return ", ".join(
        f"{key.removeprefix('validation_')} {row[key]:.4g}" for key in row if key != "epoch"
    )
