"""Examples that were made against a model alone, read from the files of its attacks."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from gauntlet.core import tensor_io
from gauntlet.core.errors import GauntletError
from gauntlet.stages.step_judge import ExampleSet

EXAMPLE, DRAW = "example", "draw"


def example_sets(
    attacks: Sequence[dict], examples: Sequence[str], draws: Sequence[str], images: Tensor
) -> list[ExampleSet]:
    """Give the sets of all attacks: each point's examples, then its draws if there are any.

    `attacks` are {name, points, drawn}, in the order of the files; `images` [N, C, H, W] are the
    clean images.
    """
    found = []
    for attack, made, drawn in zip(attacks, examples, draws, strict=True):
        found += _of_file(attack, made, EXAMPLE, images)
        found += _of_file(attack, drawn, DRAW, images) if attack["drawn"] else []
    return found


def _of_file(attack: dict, path: str, made: str, images: Tensor) -> Iterator[ExampleSet]:
    saved, points = tensor_io.load_array(path), attack["points"]
    if saved.shape != (len(points) * len(images), *images.shape[1:]):
        raise GauntletError(
            f"{path} holds examples of shape {list(saved.shape)}; {len(points)} sets of "
            f"{list(images.shape)} are needed."
        )
    every = torch.tensor(saved).to(images.device).unflatten(0, (len(points), -1))
    for point, some in zip(points, every, strict=True):
        yield ExampleSet(attack["name"], made, point["norm"], point["eps"], some)
