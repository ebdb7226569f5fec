"""The rerun: where an audit finds masked gradients, an attack that avoids them, on all images."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from gauntlet.attacks import adaptive
from gauntlet.stages.craft import CraftedExamples, EvalImages, craft

KIND = adaptive.__name__.rpartition(".")[2]
FIXED = {"loss_draws": 0, "precision": "float32"}


def rerun_points(spec: dict, remedies: list[str]) -> Iterator[list[dict]]:
    """Give the attack's settings at every eps of `spec["threats"]`, norm by norm."""
    own = {
        "kind": KIND,
        "samples": spec["samples"] if "average" in remedies else 1,
        "straight_through": "straight_through" in remedies,
    }
    for norm in dict.fromkeys(norm for norm, _ in spec["threats"]):
        yield [own | {"norm": norm, "eps": eps} for other, eps in spec["threats"] if other == norm]


def rerun(
    model: nn.Module,
    spec: dict,
    eval_images: EvalImages,
    remedies: list[str],
    keep: Path | None = None,
) -> Iterator[tuple[dict, CraftedExamples]]:
    """Attack a model in eval mode again, norm by norm; gives each attack's spec and its result."""
    for points in rerun_points(spec, remedies):
        own = spec | FIXED | {"points": points}
        folder = None if keep is None else keep / points[0]["norm"]
        if folder is not None:
            folder.mkdir(exist_ok=True)
        yield own, craft(model, own, eval_images, folder)


def nothing(images: Tensor) -> Tensor:
    """Give no examples, in the shape of examples: [0, C, H, W]."""
    return torch.zeros(0, *images.shape[1:])
