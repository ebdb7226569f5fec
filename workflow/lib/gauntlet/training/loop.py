"""Training: one loop for every defense; validation each epoch chooses the checkpoint."""

import logging
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from gauntlet.attacks import bind
from gauntlet.attacks.fgsm import fgsm
from gauntlet.core import scoring
from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.errors import GauntletError
from gauntlet.core.image_rng import Streams
from gauntlet.core.progress import Progress
from gauntlet.core.rng import generator
from gauntlet.core.signals import Saved, Stop
from gauntlet.models import evaluating
from gauntlet.training import augment
from gauntlet.training.catastrophic_overfitting import find_collapse
from gauntlet.training.checkpoints import Checkpoints
from gauntlet.training.data_parallel import DataParallel, SingleProcess
from gauntlet.training.step import Learner

logger = logging.getLogger(__name__)


@dataclass
class Part:
    """Images [N, C, H, W] float32 in [0, 1] and labels [N] int64, on the device."""

    images: Tensor
    labels: Tensor


@dataclass
class Outcome:
    """The result of a training: states of the best and the last epoch, history, warnings."""

    best: dict[str, Tensor] = field(default_factory=dict)
    last: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict] = field(default_factory=list)
    best_epoch: int = 0
    warnings: list[str] = field(default_factory=list)


def fit(
    model: nn.Module,
    spec: dict,
    train: Part,
    validation: Part,
    crafted: Tensor | None = None,
    keep: Path | None = None,
    processes: SingleProcess | DataParallel | None = None,
) -> Outcome:
    """Train a model in place as the spec says (`defense`, `training`, `seed`, `batch`).

    `crafted` [N, C, H, W] are examples of the training images, in their order. Each epoch
    measures clean, FGSM and PGD accuracy on validation data; the best epoch has the highest PGD
    accuracy; a tie goes to the higher clean accuracy, then to the earlier epoch. An interrupted
    training resumes from the checkpoint in the folder `keep`, to the same bytes. With several
    `processes`, which share every batch, each of them calls this. Raises NonFiniteLoss if the loss
    is not finite, Saved (a Stopped) if a signal asks to stop.
    """
    outcome, training, processes = Outcome(), spec["training"], processes or SingleProcess()
    learner = Learner(model, spec, processes)
    saved = Checkpoints(keep, learner.parts())
    begin, within = _begin(saved, outcome)
    progress = Progress("epoch", training["epochs"], done=begin - 1)
    with Stop() as stop:
        for epoch in range(begin, training["epochs"] + 1):
            save = partial(_save, saved, stop, processes, outcome)
            row = {"epoch": epoch}
            row |= _epoch(learner, processes, spec, epoch, train, crafted, outcome, within, save)
            row |= _validate(learner.average, spec, epoch, validation, processes)
            _keep(outcome, row, learner.average)
            progress.done(epoch, _summary(row), f"robust {row['validation_robust']:.1%}")
            save(epoch + 1, None)
            within = None
    _watch_collapse(outcome, spec["defense"])
    return outcome


def _begin(saved: Checkpoints, outcome: Outcome) -> tuple[int, dict | None]:
    """Give the epoch to begin with, and the place in it, from the checkpoint if there is one."""
    loop = saved.load()
    if loop is None:
        return 1, None
    for name, value in loop["outcome"].items():
        setattr(outcome, name, value)
    logger.info("goes on in epoch %d of an interrupted training", loop["epoch"])
    return loop["epoch"], loop["within"]


def _save(
    saved: Checkpoints, stop: Stop, processes, outcome: Outcome, epoch: int, within: dict | None
):
    """Save after an epoch, when enough time has passed, and before a requested stop."""
    # a signal that comes during this save is handled after the next batch
    asked = processes.asked(stop.number)
    if processes.main and (within is None or asked or saved.due()):
        saved.save({"epoch": epoch, "within": within, "outcome": vars(outcome)})
    if asked:
        logger.warning("asked to stop in epoch %d; what is trained is saved", epoch)
        raise Saved(asked)


def choice_record(spec: dict, outcome: Outcome) -> dict:
    """Record which epoch's weights are used, by which rule, and the warnings."""
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
    """The loss is not finite; `outcome` holds the epochs before."""

    def __init__(self, epoch: int, outcome: Outcome):
        super().__init__(
            f"The training loss is not finite in epoch {epoch}; allowed are finite losses "
            f"(lower defenses.*.learning_rate, or start from another defense with init)."
        )
        self.epoch, self.outcome = epoch, outcome


def _epoch(
    learner: Learner, processes, spec, epoch, train: Part, crafted, outcome, within, save
) -> dict:
    """Update on every training image once; the last batch may be smaller or one larger.

    `within` is the place where an interrupted epoch resumes: batches done, their loss, the state
    of the random stream.
    """
    training, count = spec["training"], len(train.labels)
    stream = generator(spec["seed"], "train", epoch)
    order = torch.randperm(count, generator=stream).to(train.labels.device)
    change = getattr(augment, training["augment"])
    learner.model.train()
    total, first, rate = torch.zeros((), device=train.labels.device), 0, None
    if within:
        stream.set_state(within["stream"])
        total, first, rate = within["total"].to(total.device), within["batches"], within["rate"]
    for number, rows in enumerate(_batches(order, training["batch"])):
        if number < first:
            continue
        processes.seed_layers(spec["seed"], epoch, number)
        done = (epoch - 1 + number * training["batch"] / count) / training["epochs"]
        rate = learner.set_rate(done)
        images = change(train.images[rows], stream)
        given = None if crafted is None else crafted[rows]
        try:
            loss = learner.update(images, train.labels[rows], given, stream, done)
        except FloatingPointError:
            raise NonFiniteLoss(epoch, outcome) from None
        total += loss * len(rows)
        here = {"batches": number + 1, "total": total, "rate": rate, "stream": stream.get_state()}
        save(epoch, here)
    return {"learning_rate": rate, "train_loss": round(float(total) / count, 6)}


def _batches(order: Tensor, size: int) -> list[Tensor]:
    """Cut an order into batches; a single image left over joins the last (batch norm needs two)."""
    parts = list(order.split(size))
    if size > 1 and len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def _validate(model: nn.Module, spec: dict, epoch: int, part: Part, processes) -> dict:
    """Measure clean accuracy, and accuracy under FGSM and under the validation attack."""
    chosen, mine = spec["training"]["validation_attack"], processes.rows(len(part.labels))
    quick = {"norm": chosen["norm"], "eps": chosen["eps"], "step": chosen["eps"]}
    images, labels = part.images[mine], part.labels[mine]
    with evaluating(model):
        batched = BatchedModel(model, spec["batch"])
        right = scoring.predict(batched, images) == labels
        held, rows = {"clean": right}, right.nonzero().squeeze(1)
        for name, attack, settings in (("fgsm", fgsm, quick), ("robust", bind(chosen), {})):
            places = rows + mine.start
            streams = Streams.of_images(spec["seed"], places, "validation", name, epoch)
            held[name] = torch.zeros_like(right)
            if len(rows):
                attacked = attack(batched, images[rows], labels[rows], streams=streams, **settings)
                held[name][rows] = scoring.predict(batched, attacked.images) == labels[rows]
    whole = {name: processes.joined(kept, len(part.labels)) for name, kept in held.items()}
    return {
        f"validation_{name}": round(float(kept.float().mean()), 6) for name, kept in whole.items()
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
    warning = find_collapse(outcome.history, inner is not None and inner.get("steps", 1) == 1)
    if warning:
        outcome.warnings.append(warning)
        logger.warning(warning)


def _summary(row: dict) -> str:
    return ", ".join(
        f"{key.removeprefix('validation_')} {row[key]:.4g}" for key in row if key != "epoch"
    )
