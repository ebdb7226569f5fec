"""Reading what a training wrote for TensorBoard."""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

ALL = {"scalars": 0, "images": 0, "tensors": 0}  # 0: keep every event


def _read(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder), size_guidance=ALL, purge_orphaned_data=True)
    return found.Reload()


def scalars_of(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Give steps and values by name, in the order of writing, without what was withdrawn."""
    read = _read(folder)
    names = read.Tags()["scalars"]
    return {name: [(one.step, one.value) for one in read.Scalars(name)] for name in names}


def images_of(folder: Path) -> dict[str, dict[int, torch.Tensor]]:
    """Give pictures in [0, 1] by name and step."""
    read = _read(folder)
    return {
        name: {one.step: _pixels(one.encoded_image_string) for one in read.Images(name)}
        for name in read.Tags()["images"]
    }


def _pixels(data: bytes) -> torch.Tensor:
    return torch.from_numpy(np.asarray(Image.open(io.BytesIO(data)), dtype=np.float32) / 255)
