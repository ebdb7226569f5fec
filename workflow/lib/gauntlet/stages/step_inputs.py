"""A model with a step in front of it, from the files that a job's inputs name."""

from collections.abc import Sequence

import torch
from torch import nn

from gauntlet.core import records, tensor_io
from gauntlet.core.errors import GauntletError
from gauntlet.core.rng import seed_for
from gauntlet.preprocess import make_step
from gauntlet.stages.inputs import laid_out


def fresh_step(spec: dict, meta) -> nn.Module:
    """Build the step that a spec names, for the images of a data set; not yet fitted."""
    shape = tuple(records.read_json(meta)["shape"])
    return make_step(spec["preprocess"], shape, seed_for(spec["seed"], "preprocess"))


def load_step(spec: dict, meta, files: Sequence[str]) -> nn.Module:
    """Build a step and load what it has learned: `files` is one file, or none for a plain step."""
    step = fresh_step(spec, meta)
    for path in files:
        try:
            step.load_state_dict(tensor_io.load_state(path))
        except RuntimeError as error:
            raise GauntletError(f"{path} does not fit the step {spec['preprocess']}.") from error
    return step


def to_device(step: nn.Module, device: torch.device) -> nn.Module:
    """Move a step to a device, and make its convolutions as fast as the model's."""
    return laid_out(step.to(device))
