"""An attack on a model through the step in front of it (adaptive)."""

from pathlib import Path

import torch
from torch import Tensor, nn

from gauntlet.attacks import bind
from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.image_rng import Streams
from gauntlet.core.progress import Progress
from gauntlet.core.rng import fixed_draws
from gauntlet.stages import partial
from gauntlet.stages.craft import POOL, EvalImages, named

SAVED = ("examples",)


def attack_through(
    front: nn.Module, spec: dict, images: EvalImages, keep: Path | None = None
) -> Tensor:
    """Attack a model behind a step at every point of a spec: examples [E, N, C, H, W] on the CPU.

    Images are attacked in pools; a finished pool is saved in the folder `keep`, where the next run
    finds it after an interruption. What a pool draws depends on its place alone.
    """
    pools = torch.arange(len(images.index)).split(spec["batch"] * POOL)
    progress, made = Progress("attack through the step", len(images.index)), []
    for number, rows in enumerate(pools):
        saved = partial.resumed(keep, number, SAVED)
        if saved is None:
            some = images.select(slice(int(rows[0]), int(rows[-1]) + 1))
            saved = {"examples": _attacked(front, spec, some, number)}
            partial.save(keep, number, saved)
        made.append(saved["examples"])
        progress.done(int(rows[-1]) + 1)
    return torch.cat(made, 1)


def _attacked(front: nn.Module, spec: dict, images: EvalImages, number: int) -> Tensor:
    found = []
    for point in spec["points"]:
        with fixed_draws(spec["seed"], "through a step", number, point["norm"], point["eps"]):
            found.append(_at_point(front, spec, point, images))
    return torch.stack(found).cpu()


def _at_point(front: nn.Module, spec: dict, point: dict, images: EvalImages) -> Tensor:
    """Attack the images class by class, since a detector's model depends on the true class."""
    attack, examples = bind(point), images.images.clone()
    where = (images.origin, "adaptive", spec["preprocess"]["kind"], point["norm"], point["eps"])
    streams = Streams.of_images(spec["seed"], images.index, *where)
    for members, model in _targets(front, images.labels):
        batched, some = BatchedModel(model, spec["batch"]), images.select(members)
        own = streams.select(members)
        examples[members] = named(
            some, lambda b=batched, s=some, o=own: attack(b, s.images, s.labels, streams=o).images
        )
    return examples


def _targets(front: nn.Module, labels: Tensor) -> list[tuple[Tensor, nn.Module]]:
    """Give (rows, the model to attack them on): all at once unless the true class matters."""
    every = torch.arange(len(labels))
    if front.against(0) is front:
        return [(every, front)]
    classes = labels.unique().tolist()
    return [(every[(labels == one).cpu()], front.against(one)) for one in classes]
