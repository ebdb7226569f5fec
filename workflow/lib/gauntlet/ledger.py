"""The ledger: a row per image, attack and eps, judged in float32 on what was saved."""

import logging
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from gauntlet import scoring, threat
from gauntlet.crafting import Crafted, Victims, members_of, named
from gauntlet.lens import Lens
from gauntlet.seeding import fixed_draws

logger = logging.getLogger(__name__)

COLUMNS = [
    *("index", "label", "access", "norm", "eps"),
    *("clean_prediction", "adversarial_prediction", "clean_loss", "adversarial_loss"),
    *("clean_confidence", "adversarial_confidence", "linf", "l2", "l1"),
    *("success", "success_8bit", "felled_by", "felled_at", "forwards", "backwards", "draw_loss"),
    "note",
]
PROBABILITIES = "outputs are probabilities, not logits"
CLOSE = 1e-4


def ledger(
    model: nn.Module,
    spec: dict,
    victims: Victims,
    examples: Tensor,
    access: str,
    crafted: Crafted | None = None,
) -> Iterator[dict]:
    """Judge saved examples [E, N, C, H, W] and give one row per image and eps.

    An example counts as success only if its image was classified rightly, it is misclassified,
    and it lies in [0, 1] and in the ball; `success_8bit` asks the same of the example rounded to
    what an image file can hold. `felled_by` names the attack, or the member of an ensemble. A model
    that draws random numbers draws the same for clean images in every ledger.
    """
    lens = Lens(model, spec["batch"])
    with fixed_draws(0, "clean"):
        clean = named(victims, lambda: scoring.score(lens, victims.images, victims.labels))
    constants = {"access": access, "note": outputs_note(lens, victims.images)}
    for number, point in enumerate(spec["points"]):
        norm, eps = threat.extent(point)
        columns, success = _judged(lens, victims, clean, examples[number], norm, eps)
        if crafted is not None:
            columns |= _costs(crafted, number, members_of(point), success)
        yield from _rows(columns, constants | {"norm": norm, "eps": repr(float(eps))})


def _judged(lens: Lens, victims: Victims, clean, examples: Tensor, norm: str, eps: float):
    images, truth = victims.images, victims.labels.cpu()
    finite = torch.where(
        examples.isfinite(), examples, images
    )  # what is no number is refused below
    hostile = scoring.score(lens, finite, victims.labels)
    fine = threat.admissible(examples, images, norm, eps).cpu()
    if not bool(fine.all()):
        logger.warning("%d examples break the threat model; none counts", int((~fine).sum()))
    right = clean.prediction == truth
    success = fine & right & (hostile.prediction != truth)
    columns = {
        "index": victims.index,
        "label": truth,
        "clean_prediction": clean.prediction,
        "adversarial_prediction": hostile.prediction,
        "clean_loss": clean.loss,
        "adversarial_loss": hostile.loss,
        "clean_confidence": clean.confidence,
        "adversarial_confidence": hostile.confidence,
    }
    columns |= {name: threat.distance(examples, images, name) for name in threat.NORMS}
    columns["success"] = success.int()
    columns["success_8bit"] = _rounded_success(lens, victims, examples, success, norm, eps).int()
    return columns, success


def _rounded_success(lens, victims: Victims, examples, success, norm: str, eps: float) -> Tensor:
    """Round the examples that succeeded to 8 bits and judge them again."""
    rows = success.nonzero().squeeze(1).to(examples.device)
    found = torch.zeros_like(success)
    if len(rows):
        images, truth = victims.images[rows], victims.labels[rows]
        stored = threat.on_grid(examples[rows], images, norm, eps)
        missed = scoring.predict(lens, stored) != truth
        found[rows.cpu()] = (missed & threat.admissible(stored, images, norm, eps)).cpu()
    return found


def _costs(crafted: Crafted, number: int, members: tuple[str, ...], success: Tensor) -> dict:
    by = [
        members[who] if fell and who >= 0 else ""
        for who, fell in zip(crafted.felled_by[number].tolist(), success.tolist(), strict=True)
    ]
    columns = {
        "felled_by": by,
        "felled_at": torch.where(success, crafted.felled_at[number], 0),
        "forwards": crafted.forwards[number],
        "backwards": crafted.backwards[number],
    }
    losses = crafted.draw_loss[number]
    return columns | ({} if bool(losses.isnan().all()) else {"draw_loss": losses})


def outputs_note(lens: Lens, images: Tensor) -> str:
    """Name outputs that are probabilities: losses on logits then mislead gradients."""
    logits = lens(images[: lens.batch])
    positive = bool((logits >= 0).all())
    if positive and bool(((logits.sum(1) - 1).abs() < CLOSE).all()):
        logger.warning("the model's %s: attacks are weaker on it than they could be", PROBABILITIES)
        return PROBABILITIES
    return ""


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
