"""The idx format, and data sets in four files of it."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from gauntlet.core.download.mirrors import File, Places, fetch
from gauntlet.core.errors import GauntletError
from gauntlet.data._containers import verified_content
from gauntlet.data._dataset import Dataset

LIMIT = 1 << 26  # bytes of one unpacked file
NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def parse(content: bytes, dimensions: int) -> np.ndarray:
    """View the bytes of an idx file as a uint8 array of so many dimensions.

    Raises GauntletError if the header is another or does not fit the length.
    """
    start = 4 + 4 * dimensions
    if content[:4] != bytes([0, 0, 8, dimensions]) or len(content) < start:
        raise GauntletError(f"this is no idx file of unsigned bytes with {dimensions} dimensions")
    shape = [int(size) for size in np.frombuffer(content[4:start], ">u4")]
    values = np.frombuffer(content, np.uint8, offset=start)
    if values.size != np.prod(shape, dtype=object):
        raise GauntletError(f"this idx file announces {shape} but holds {values.size} bytes")
    return values.reshape(shape)


def mnist_like(
    places: Places, cache: Path, digests: Mapping[str, str], classes: tuple[str, ...]
) -> Dataset:
    """Get a data set in MNIST's four files; `digests` are the sha256 of their contents."""
    files = [_file(name, digests[name]) for name in NAMES]
    train, train_labels, test, test_labels = fetch(files, places, cache)
    images = np.concatenate([parse(train, 3), parse(test, 3)])
    labels = np.concatenate([parse(train_labels, 1), parse(test_labels, 1)])
    tested = len(parse(test_labels, 1))
    return Dataset(
        images=images[:, None],
        labels=labels.astype(np.int64),
        classes=list(classes),
        max_value=255,
        files=[{"name": name, "sha256": digests[name]} for name in NAMES],
        canonical={"train": len(images) - tested, "test": tested},
    )


def _file(name: str, digest: str) -> File:
    read: Callable[[Path], bytes] = partial(verified_content, digest=digest, limit=LIMIT)
    return File(names=(f"{name}.gz", name), limit=LIMIT, read=read)
