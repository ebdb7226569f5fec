"""What every source gives, and how it is written."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Dataset:
    """A whole labeled data set in memory.

    images: uint8 or float32 [N, C, H, W]; divided by `max_value` they are in [0, 1].
    labels: int64 [N], positions in `classes`.
    canonical: {"train": n, "test": m} if the first n images are the source's own training set and
    the last m its test set, else None.
    files: {"name": ..., "sha256": ...} of the content of each file that it was read from.
    """

    images: np.ndarray
    labels: np.ndarray
    classes: list[str]
    max_value: int | float
    files: list[dict[str, str]]
    canonical: dict[str, int] | None = None

    def __post_init__(self):
        count = len(self.labels)
        assert self.images.dtype in (np.uint8, np.float32)
        assert self.labels.dtype == np.int64
        assert self.images.ndim == 4
        assert self.labels.shape == (len(self.images),)
        assert set(np.unique(self.labels)) <= set(range(len(self.classes)))
        assert self.canonical is None or sum(self.canonical.values()) == count


def write_dataset(
    dataset: Dataset, source: str, images: str | Path, labels: str | Path, meta: str | Path
) -> None:
    """Write a data set as two .npy files and a JSON record; equal data give equal bytes."""
    for path, array in ((images, dataset.images), (labels, dataset.labels)):
        with open(path, "wb") as stream:
            np.save(stream, np.ascontiguousarray(array), allow_pickle=False)
    record = {
        "canonical": dataset.canonical,
        "classes": dataset.classes,
        "files": dataset.files,
        "max_value": dataset.max_value,
        "n": len(dataset.labels),
        "shape": list(dataset.images.shape[1:]),
        "source": source,
    }
    text = json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False)
    Path(meta).write_text(text + "\n", encoding="utf-8")
