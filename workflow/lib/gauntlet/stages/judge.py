"""The ledger: a row per image, attack and eps, judged in float32 on what was saved."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from gauntlet.core import scoring, threat_models
from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.records import write_rows
from gauntlet.core.rng import fixed_draws
from gauntlet.stages.craft import CraftedExamples, EvalImages, members_of, named

logger = logging.getLogger(__name__)

COLUMNS = [
    *("index", "label", "access", "norm", "eps"),
    *("clean_prediction", "adversarial_prediction", "clean_loss", "adversarial_loss"),
    *("clean_confidence", "adversarial_confidence", "linf", "l2", "l1"),
    *("success", "success_by", "success_query"),
    *("forwards", "backwards", "draw_loss"),
    "note",
]


def saved(examples: Tensor, path: str | Path, device: torch.device) -> Tensor:
    """Save examples [E, N, C, H, W] as [E * N, C, H, W], and give them as they are in the file."""
    np.save(path, examples.flatten(0, 1).cpu().numpy())
    return torch.from_numpy(np.load(path)).to(device).view_as(examples)


def save_nothing(eval_images: EvalImages, columns, ledger: str, *arrays: str) -> None:
    """Write a ledger without rows and arrays [0, C, H, W] for a part without images."""
    for path in arrays:
        np.save(path, eval_images.images.cpu().numpy())
    write_rows(ledger, columns, ())


def ledger(
    model: nn.Module,
    spec: dict,
    eval_images: EvalImages,
    examples: Tensor,
    access: str,
    crafted: CraftedExamples | None = None,
    members: tuple[str, ...] | None = None,
) -> Iterator[dict]:
    """Judge saved examples [E, N, C, H, W] and give one row per image and eps.

    An example counts as success only if its image is classified correctly, it is misclassified,
    and it lies in [0, 1] and in the ball. `success_by` names the attack, or the member of an
    ensemble (`members`, where the attack's file does not name them). A model that draws random
    numbers draws the same for clean images in every ledger.
    """
    batched = BatchedModel(model, spec["batch"])
    with fixed_draws(0, "clean"):
        clean = named(
            eval_images, lambda: scoring.score(batched, eval_images.images, eval_images.labels)
        )
    constants = {"access": access, "note": scoring.outputs_note(batched, eval_images.images)}
    for number, point in enumerate(spec["points"]):
        norm, eps = threat_models.extent(point)
        columns, success = _judged(batched, eval_images, clean, examples[number], norm, eps)
        if crafted is not None:
            columns |= _costs(crafted, number, members or members_of(point), success)
        yield from _rows(columns, constants | {"norm": norm, "eps": repr(float(eps))})


def _judged(
    batched: BatchedModel, eval_images: EvalImages, clean, examples: Tensor, norm: str, eps: float
):
    images, truth = eval_images.images, eval_images.labels.cpu()
    finite = torch.where(examples.isfinite(), examples, images)  # others are refused below
    hostile = scoring.score(batched, finite, eval_images.labels)
    fine = threat_models.admissible(examples, images, norm, eps).cpu()
    if not bool(fine.all()):
        logger.warning("%d examples violate the threat model; none counts", int((~fine).sum()))
    right = clean.prediction == truth
    success = fine & right & (hostile.prediction != truth)
    columns = {
        "index": eval_images.index,
        "label": truth,
        "clean_prediction": clean.prediction,
        "adversarial_prediction": hostile.prediction,
        "clean_loss": clean.loss,
        "adversarial_loss": hostile.loss,
        "clean_confidence": clean.confidence,
        "adversarial_confidence": hostile.confidence,
    }
    columns |= {
        name: threat_models.distance(examples, images, name) for name in threat_models.NORMS
    }
    columns["success"] = success.int()
    return columns, success


def _costs(
    crafted: CraftedExamples, number: int, members: tuple[str, ...], success: Tensor
) -> dict:
    by = [
        members[who] if won and who >= 0 else ""
        for who, won in zip(crafted.success_by[number].tolist(), success.tolist(), strict=True)
    ]
    columns = {
        "success_by": by,
        "success_query": torch.where(success, crafted.success_query[number], 0),
        "forwards": crafted.forwards[number],
        "backwards": crafted.backwards[number],
    }
    losses = crafted.draw_loss[number]
    return columns | ({} if bool(losses.isnan().all()) else {"draw_loss": losses})


def _rows(columns: dict, constants: dict[str, str]) -> Iterator[dict]:
    texts = {name: _texts(values) for name, values in columns.items()}
    for values in zip(*texts.values(), strict=True):
        yield dict(zip(texts, values, strict=True)) | constants


def _texts(values: Tensor | list) -> list:
    if isinstance(values, list):
        return values
    if values.is_floating_point():
        return [f"{value:.7g}" for value in values.tolist()]
    return values.tolist()
