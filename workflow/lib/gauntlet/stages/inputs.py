"""What several stages need: load a part of a data set, build or load a model."""

import numpy as np
import torch
from torch import Tensor, nn

from gauntlet.core import records, tensor_io
from gauntlet.core.errors import GauntletError
from gauntlet.core.rng import seed_for
from gauntlet.models import Classifier, build_model, load_weights
from gauntlet.models.external import bundle


def load_part(images, labels, meta, split, part: str, device) -> tuple[Tensor, Tensor, Tensor]:
    """Load a named part: index [N] (CPU), images [N, C, H, W] in [0, 1] and labels [N]."""
    index = np.asarray(records.read_json(split)[part], dtype=np.int64)
    pixels = torch.from_numpy(tensor_io.load_array(images)[index].astype(np.float32))
    pixels /= records.read_json(meta)["max_value"]
    classes = torch.from_numpy(tensor_io.load_array(labels)[index].astype(np.int64))
    return torch.from_numpy(index), pixels.to(device), classes.to(device)


def shard_rows(spec: dict, count: int) -> slice:
    """Give the rows of a part that a shard ("2-of-5") attacks: all of them without one."""
    number, total = map(int, spec.get("shard", "1-of-1").split("-of-"))
    return slice((number - 1) * count // total, number * count // total)


def make_model(spec: dict, meta, seed: int, artefact: bytes | None = None) -> Classifier:
    """Build a fresh model for a data set; its weights depend on the seed alone.

    `artefact` is the content of a file that is network and weights at once.
    """
    record = records.read_json(meta)
    shape, classes = tuple(record["shape"]), len(record["classes"])
    model = build_model(spec["model"], shape, classes, seed_for(seed, "weights"), artefact)
    return laid_out(model)


def laid_out(model: nn.Module) -> nn.Module:
    """Lay a model's weights out with the channels last: convolutions run faster so."""
    return model.to(memory_format=torch.channels_last)


def trained_model(spec: dict, meta, weights) -> Classifier:
    """Build a model and load its weights, trained here or given."""
    state = tensor_io.load_state(weights)
    artefact = bundle.unpack(state, weights)
    model = make_model(spec, meta, 0, artefact)
    if artefact is None:
        load_weights(model, state, weights)
    return model


def load_crafted(draws, images: Tensor) -> Tensor:
    """Load the examples of all training images [N, C, H, W], in the images' order."""
    saved = tensor_io.load_array(draws)
    if saved.shape != tuple(images.shape):
        raise GauntletError(
            f"{draws} holds examples of shape {list(saved.shape)}; the training images need "
            f"{list(images.shape)}."
        )
    return torch.tensor(saved).to(images.device)
