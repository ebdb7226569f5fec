"""What a model behind a step answers to images: shares of draws, in float32, on what was saved."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gauntlet.core import scoring, threat_models
from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.rng import fixed_draws
from gauntlet.stages.craft import EvalImages, named

COLUMNS = (
    *("index", "label", "attack", "made", "norm", "eps"),
    *("clean", "right", "rejected_clean", "rejected"),
    *("clean_without_step", "right_without_step", "linf", "l2"),
)


@dataclass(frozen=True)
class Shares:
    """Of N images the shares of draws in which each gets its label, and is rejected: [N] each."""

    right: Tensor
    rejected: Tensor


@dataclass(frozen=True)
class ExampleSet:
    """Examples [N, C, H, W] of one attack at one norm and eps; `made` says which kind they are."""

    attack: str
    made: str
    norm: str
    eps: float
    examples: Tensor


def shares(front: nn.Module, spec: dict, images: EvalImages, classes: int) -> Shares:
    """Ask a model behind a step spec["draws"] times; each draw is the same for all examples."""
    batched, right, rejected = BatchedModel(front, spec["batch"]), [], []
    for draw in range(spec["draws"]):
        with fixed_draws(spec["seed"], "judged behind a step", draw):
            answers = named(images, lambda: batched(images.images)).argmax(1)
        right.append((answers == images.labels).double())
        rejected.append((answers == classes).double())
    return Shares(torch.stack(right).mean(0).cpu(), torch.stack(rejected).mean(0).cpu())


def step_rows(
    front: nn.Module, spec: dict, images: EvalImages, classes: int, sets: list[ExampleSet]
) -> Iterator[dict]:
    """Give a row per image and set of examples, of saved examples.

    `clean` and `right` are shares of draws in which the clean image, and its example, get the
    label; `rejected_clean` and `rejected` those in which they are rejected. The columns
    `..._without_step` are about the model alone. An example outside of its ball, or of [0, 1], says
    nothing: its row has what the clean image has.
    """
    clean, alone = shares(front, spec, images, classes), BatchedModel(front.model, spec["batch"])
    plain = (scoring.predict(alone, images.images) == images.labels).cpu()
    for one in sets:
        fine = threat_models.admissible(one.examples, images.images, one.norm, one.eps)
        shown = torch.where(threat_models.per_image(fine), one.examples, images.images)
        hostile = EvalImages(images.index, shown, images.labels, images.origin)
        found = shares(front, spec, hostile, classes)
        columns = {
            "index": images.index,
            "label": images.labels,
            "clean": clean.right,
            "right": found.right,
            "rejected_clean": clean.rejected,
            "rejected": found.rejected,
            "clean_without_step": plain.int(),
            "right_without_step": (scoring.predict(alone, shown) == images.labels).int(),
            **{n: threat_models.distance(shown, images.images, n) for n in ("linf", "l2")},
        }
        names = {"attack": one.attack, "made": one.made, "norm": one.norm, "eps": float(one.eps)}
        yield from _rows(columns, names)


def _rows(columns: dict[str, Tensor], names: dict) -> Iterator[dict]:
    texts = {
        name: [f"{value:.7g}" if isinstance(value, float) else value for value in values.tolist()]
        for name, values in columns.items()
    }
    for values in zip(*texts.values(), strict=True):
        yield names | dict(zip(texts, values, strict=True))
