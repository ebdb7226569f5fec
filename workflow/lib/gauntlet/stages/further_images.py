"""Further training images from a user's file, such as generated ones."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gauntlet.core import records, tensor_io
from gauntlet.core.errors import GauntletError
from gauntlet.data.npz import npz
from gauntlet.training.batches import Part


def further_images(path: str, images, labels, meta, split, device: torch.device) -> Part:
    """Load further images and labels for a data set that is given by its files.

    Raises GauntletError for a file that is no data set of such images, has classes that the data
    set has not, or holds images of the validation or the test part.
    """
    found, known = npz([], Path(), path=path), records.read_json(meta)
    shape, classes = list(found.images.shape[1:]), len(known["classes"])
    if shape != list(known["shape"]):
        raise GauntletError(
            f"training.extra.path is '{path}', whose images have the shape {shape}; the training "
            f"images have {list(known['shape'])}."
        )
    if int(found.labels.max()) >= classes:
        raise GauntletError(
            f"training.extra.path is '{path}', with the label {int(found.labels.max())}; allowed "
            f"are those of the data set, 0 to {classes - 1}."
        )
    pixels = _floats(found.images, found.max_value)
    _require_unseen(path, pixels, images, known["max_value"], records.read_json(split))
    return Part(pixels.to(device), torch.tensor(found.labels, dtype=torch.int64, device=device))


def _floats(images: np.ndarray, max_value: float) -> Tensor:
    return torch.from_numpy(images.astype(np.float32)) / max_value


def _require_unseen(path: str, pixels: Tensor, images, max_value: float, parts: dict) -> None:
    """Refuse images on which models are chosen or judged."""
    held = np.asarray(parts["validation"] + parts["test"], dtype=np.int64)
    seen = {
        image.numpy().tobytes() for image in _floats(tensor_io.load_array(images)[held], max_value)
    }
    count = sum(image.numpy().tobytes() in seen for image in pixels)
    if count:
        raise GauntletError(
            f"training.extra.path is '{path}', of whose images {count} are in the validation or "
            "the test part; allowed are images that are in neither."
        )
