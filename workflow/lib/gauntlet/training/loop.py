"""Training: one loop for every defense; validation each epoch chooses the checkpoint."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from gauntlet.core.errors import GauntletError
from gauntlet.core.progress import Progress
from gauntlet.core.rng import generator
from gauntlet.core.signals import Saved, Stop
from gauntlet.models import evaluating
from gauntlet.training import augment, mixing
from gauntlet.training.batches import Part, batches
from gauntlet.training.catastrophic_overfitting import find_collapse, is_beginning, is_collapsed
from gauntlet.training.checkpoints import Checkpoints
from gauntlet.training.data_parallel import DataParallel, SingleProcess
from gauntlet.training.epoch_totals import EpochTotals
from gauntlet.training.step import Learner, is_single_step
from gauntlet.training.validation import validate

logger = logging.getLogger(__name__)


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
    teacher: nn.Module | None = None,
    extra: Part | None = None,
    listener=None,
    hopeless: Callable[[list[dict]], bool] | None = None,
) -> Outcome:
    """Train a model in place as the spec says (`defense`, `training`, `seed`, `batch`).

    `crafted` [N, C, H, W] are examples of the training images, in their order ([N, S, C, H, W]
    of S sources), `teacher` a model in eval mode, `extra` further images. Each epoch measures
    clean, FGSM and PGD accuracy on validation data; the best epoch has the highest PGD
    accuracy; a tie goes to the higher clean accuracy, then to the earlier epoch. An interrupted
    training resumes from the checkpoint in the folder `keep`, to the same bytes. It ends early if
    `hopeless` says so of the rows of its epochs. With several `processes`, which share every batch,
    each of them calls this. A `listener` hears of batches and epochs and changes nothing. Raises
    NonFiniteLoss if the loss is not finite, Saved (a Stopped) if a signal asks to stop.
    """
    outcome, training, processes = Outcome(), spec["training"], processes or SingleProcess()
    learner = Learner(model, spec, processes, teacher)
    saved = Checkpoints(keep, learner.parts())
    begin, within = _begin(saved, outcome)
    progress = Progress("epoch", training["epochs"], done=begin - 1)
    with Stop() as stop:
        for epoch in range(begin, training["epochs"] + 1):
            if _is_over(outcome, training["patience"]) or (hopeless and hopeless(outcome.history)):
                break
            save = partial(_save, saved, stop, processes, outcome)
            row = {"epoch": epoch}
            parts = (train, extra, crafted)
            row |= _epoch(learner, processes, spec, epoch, parts, outcome, within, save, listener)
            learner.average.after_epoch(epoch / training["epochs"])
            held = (validation.images, validation.labels)
            row |= validate(learner.average.module, spec, epoch, *held, processes)
            row |= _watch(learner, outcome.history, row)
            _keep(outcome, row, learner.average.module)
            if listener:
                listener.epoch(row, learner.average.module)
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
    kept = [row for row in outcome.history if not row.get("rolled_back")] or outcome.history
    chosen = outcome.history[outcome.best_epoch - 1] if best else kept[-1]
    attack = training["validation_attack"]
    by = f"{attack['kind']}-{attack['steps']}, {attack['norm']} eps {attack['eps']:.4g}"
    rule = f"best robust validation accuracy ({by}), ties by clean" if best else "last epoch"
    return {
        "selection": training["selection"],
        "rule": rule,
        "selected_epoch": chosen["epoch"],
        "epochs": training["epochs"],
        "epochs_done": len(outcome.history),
        "rolled_back": [row["epoch"] for row in outcome.history if row.get("rolled_back")],
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
    learner: Learner, processes, spec, epoch, parts: tuple, outcome, within, save, listener
) -> dict:
    """Update on every training image once.

    `parts` are the training part, further images and examples of files, or None. `within` is the
    place where an interrupted epoch resumes: batches done, what they add up to, the state of the
    random stream.
    """
    (train, extra, crafted), training = parts, spec["training"]
    stream = generator(spec["seed"], "train", epoch)
    order = torch.randperm(len(train.labels), generator=stream).to(train.labels.device)
    change, mix = getattr(augment, training["augment"]), getattr(mixing, training["mix"])
    classes = _classes(learner.model, train.images[:1]) if training["mix"] == "cutmix" else 0
    learner.train()
    totals = EpochTotals(train.labels.device, outcome.history, learner.watching)
    first, rate = 0, None
    if within:
        stream.set_state(within["stream"])
        totals.resume(within["totals"])
        first, rate = within["batches"], within["rate"]
    for number, batch in enumerate(batches(train, extra, order, spec, epoch)):
        if number < first:
            continue
        processes.seed_layers(spec["seed"], epoch, number)
        done = (epoch - 1 + batch.done) / training["epochs"]
        rate = learner.set_rate(done)
        images, labels = mix(change(batch.images, stream), batch.labels, stream, classes)
        given = None if crafted is None else crafted[batch.rows]
        try:
            found = learner.update(images, labels, given, stream, done)
        except FloatingPointError:
            raise NonFiniteLoss(epoch, outcome) from None
        totals.add(number + 1, len(labels), found)
        if listener:
            listener.batch(epoch, number, learner.model, found.loss, rate)
        here = {"batches": number + 1, "totals": totals.state(), "rate": rate}
        save(epoch, here | {"stream": stream.get_state()})
    return {"learning_rate": rate} | totals.row()


def _classes(model: nn.Module, images: Tensor) -> int:
    """Count the classes that a model knows."""
    with evaluating(model), torch.no_grad():
        return model(images).shape[1]


def _is_over(outcome: Outcome, patience: int) -> bool:
    """Tell whether no better checkpoint has come for as many epochs as patience allows."""
    waited = len(outcome.history) - outcome.best_epoch
    if patience and waited >= patience:
        logger.info("ends early: epoch %d was the best one", outcome.best_epoch)
        return True
    return False


def _watch(learner: Learner, history: list[dict], row: dict) -> dict:
    """Mark an epoch in which the training collapses; take it back if the settings ask for it."""
    collapsed, rollback = is_collapsed(history, row), learner.rollback
    marks = {"collapsed": int(collapsed)}
    if collapsed or is_beginning(row):
        logger.warning("epoch %d: single-step training collapses", row["epoch"])
    if rollback is None:
        return marks
    if gone := collapsed or is_beginning(row):
        rollback.back()
        logger.warning("back to the last good weights; steps are now %.3g long", rollback.share)
    else:
        rollback.keep()
    return marks | {"rolled_back": int(gone), "step_share": rollback.share}


def _keep(outcome: Outcome, row: dict, model: nn.Module) -> None:
    outcome.history.append(row)
    outcome.last = {name: value.detach().clone() for name, value in model.state_dict().items()}
    best = outcome.history[outcome.best_epoch - 1] if outcome.best_epoch else None
    if best is None or (_rank(row) > _rank(best) and not row.get("rolled_back")):
        outcome.best, outcome.best_epoch = outcome.last, row["epoch"]


def _rank(row: dict) -> tuple[float, float]:
    return row["validation_robust"], row["validation_clean"]


def _watch_collapse(outcome: Outcome, defense: dict) -> None:
    warning = find_collapse(outcome.history, is_single_step(defense))
    if warning:
        outcome.warnings.append(warning)
        logger.warning(warning)


def _summary(row: dict) -> str:
    return ", ".join(
        f"{key.removeprefix('validation_')} {row[key]:.4g}" for key in row if key != "epoch"
    )
