"""The rerun: where an audit finds masked gradients, every means on the images that are left."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from gauntlet.audit._rerun import run_means
from gauntlet.audit._survivors import Survivors, Threat
from gauntlet.core.records import read_rows
from gauntlet.evaluation.failures import is_missing
from gauntlet.stages.craft import CraftedExamples, EvalImages

AVERAGE = "average"  # the remedy for a model that answers differently each time


@dataclass(frozen=True)
class Rerun:
    """What the rerun made at one threat: the attack's spec, its examples, and who broke which."""

    spec: dict
    crafted: CraftedExamples
    members: tuple[str, ...]


def rerun(
    model: nn.Module,
    spec: dict,
    eval_images: EvalImages,
    remedies: list[str],
    train: Tensor | None,
    known: dict[str, Tensor],
) -> Iterator[Rerun]:
    """Attack a model in eval mode again at every (norm, eps) of the spec, in its order.

    `known` are examples [N, C, H, W] by the name of the check that found them: they come first.
    `train` are images on which substitutes learn the model's answers.
    """
    samples = spec["samples"] if AVERAGE in remedies else 1
    for norm, eps in spec["threats"]:
        threat = Threat(norm, eps)
        parts = (eval_images.images, eval_images.labels, eval_images.index)
        survivors = Survivors(model, *parts, threat, spec["batch"], spec["seed"], samples)
        for name, examples in known.items():
            rows = survivors.rows()
            survivors.offer(name, rows, examples[rows])
        for _ in run_means(survivors, train, samples, spec["queries"]):
            pass
        own = spec | {"points": [{"kind": "adaptive", "norm": norm, "eps": eps}]}
        yield Rerun(own, _crafted(survivors), tuple(survivors.names))


def _crafted(survivors: Survivors) -> CraftedExamples:
    counts = (survivors.forwards, survivors.backwards, survivors.success_query, survivors.by)
    nothing = torch.full((1, len(survivors.labels)), torch.nan)
    return CraftedExamples(
        survivors.examples[None].cpu(),
        *(column[None].cpu() for column in counts),
        survivors.by[None].cpu() < 0,
        survivors.images[None, :0].cpu(),
        nothing,
    )


def known_examples(found: str, examples: str, eval_images: EvalImages) -> dict[str, Tensor]:
    """Read what an audit's checks broke: for each check an example [N, C, H, W] of every image.

    Images that a check did not break have themselves.
    """
    saved, places = np.load(examples), {int(i): n for n, i in enumerate(eval_images.index)}
    if is_missing(saved):
        return {}
    known: dict[str, Tensor] = {}
    for row, example in zip(read_rows(found), torch.from_numpy(saved), strict=True):
        name = f"audit {row['check']}"
        own = known.setdefault(name, eval_images.images.clone())
        own[places[int(row["index"])]] = example.to(own.device)
    return known


def nothing(images: Tensor) -> Tensor:
    """Give no examples, in the shape of examples: [0, C, H, W]."""
    return torch.zeros(0, *images.shape[1:])
