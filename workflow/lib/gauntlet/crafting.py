"""Adversarial examples of one attack against one model, and their ledger."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gauntlet import scoring, threat
from gauntlet.attacks import bind
from gauntlet.progress import Progress
from gauntlet.seeding import generator

logger = logging.getLogger(__name__)

COLUMNS = [
    "index",
    "label",
    "access",
    "norm",
    "eps",
    "clean_prediction",
    "adversarial_prediction",
    "clean_loss",
    "adversarial_loss",
    "clean_confidence",
    "adversarial_confidence",
    "linf",
    "l2",
    "success",
    "steps",
    "draw_loss",
]


@dataclass(frozen=True)
class Crafted:
    """Examples of every eps in turn [E*N, C, H, W], passes [E*N], draws and their mean loss.

    `draws` [E*N, C, H, W] are examples of full strength from one random start each, of all
    images, for transfer and training ([0, C, H, W] without draws); `draw_loss` [E*N] or None.
    """

    examples: Tensor
    steps: Tensor
    draws: Tensor
    draw_loss: Tensor | None


def craft(model: nn.Module, spec: dict, images: Tensor, labels: Tensor) -> Crafted:
    """Attack a model in eval mode at every point (eps) of the spec, in ascending order.

    Images that the model gets wrong are not attacked, and an image that fell at a smaller eps
    keeps that example: the balls lie within each other, and so does the noise's control.
    """
    right = scoring.predict(model, images, spec["batch"]) == labels
    progress = Progress("attack", len(spec["points"]))
    found, examples, standing = [], images.clone(), right.clone()
    passes = torch.zeros_like(labels)
    for number, point in enumerate(spec["points"], 1):
        stream = generator(spec["seed"], "craft", spec["part"], number)
        fresh, steps = scoring.attack_in_batches(
            model, bind(point), images, labels, standing, stream, spec["batch"]
        )
        examples = torch.where(standing.view(-1, 1, 1, 1), fresh, examples)
        passes = passes + steps
        standing = standing & (scoring.predict(model, examples, spec["batch"]) == labels)
        found.append((examples, passes))
        progress.done(number, f"{int(standing.sum())} of {len(labels)} stand")
    draws, losses = _draws(model, spec, images, labels)
    return Crafted(*(torch.cat(column) for column in zip(*found, strict=True)), draws, losses)


def _draws(model, spec: dict, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor | None]:
    """Make random examples of full strength for every image; keep the first, average the loss."""
    count = spec["loss_draws"]
    if count == 0:
        return images[:0], None
    firsts, means = [], []
    everyone = torch.ones_like(labels, dtype=torch.bool)
    for number, point in enumerate(spec["points"], 1):
        once = bind(point | {key: 1 for key in ("restarts", "draws") if key in point})
        total = torch.zeros(len(labels))
        for draw in range(count):
            stream = generator(spec["seed"], "draw", spec["part"], number, draw)
            examples, _ = scoring.attack_in_batches(
                model, once, images, labels, everyone, stream, spec["batch"], {"early_stop": False}
            )
            total += scoring.score(model, examples, labels, spec["batch"]).loss
            firsts += [examples] if draw == 0 else []
        means.append(total / count)
    return torch.cat(firsts), torch.cat(means)


def ledger(
    model: nn.Module,
    spec: dict,
    index: Tensor,
    images: Tensor,
    labels: Tensor,
    examples: Tensor,
    access: str,
    steps: Tensor | None = None,
    draw_loss: Tensor | None = None,
) -> Iterator[dict]:
    """Judge saved examples [E*N, C, H, W] in float32 and give one row per image and eps.

    An example counts as success only if its image was classified rightly, it is misclassified,
    and it lies in [0, 1] and in the ball. `index` [N] are the images' places in the data set.
    """
    clean, count = scoring.score(model, images, labels, spec["batch"]), len(labels)
    for number, point in enumerate(spec["points"]):
        norm, eps = point.get("norm", "noise"), point.get("eps", point.get("sigma"))
        rows = slice(number * count, (number + 1) * count)
        hostile = scoring.score(model, examples[rows], labels, spec["batch"])
        fine = threat.admissible(examples[rows], images, norm, eps).cpu()
        if not bool(fine.all()):
            logger.warning("%d examples break the threat model; none counts", int((~fine).sum()))
        truth = labels.cpu()
        success = fine & (clean.prediction == truth) & (hostile.prediction != truth)
        columns = {
            "index": index,
            "label": truth,
            "clean_prediction": clean.prediction,
            "adversarial_prediction": hostile.prediction,
            "clean_loss": clean.loss,
            "adversarial_loss": hostile.loss,
            "clean_confidence": clean.confidence,
            "adversarial_confidence": hostile.confidence,
            "linf": threat.distance(examples[rows], images, "linf"),
            "l2": threat.distance(examples[rows], images, "l2"),
            "success": success.int(),
        }
        columns |= {} if steps is None else {"steps": steps[rows]}
        columns |= {} if draw_loss is None else {"draw_loss": draw_loss[rows]}
        yield from _rows(columns, {"access": access, "norm": norm, "eps": repr(float(eps))})


def _rows(columns: dict[str, Tensor], constants: dict[str, str]) -> Iterator[dict]:
    texts = {
        name: [f"{value:.7g}" if values.is_floating_point() else value for value in values.tolist()]
        for name, values in columns.items()
    }
    for values in zip(*texts.values(), strict=True):
        yield dict(zip(texts, values, strict=True)) | constants
