"""Data sources, one plug-in file each: `gauntlet/data/<source>.py` holds the function `<source>`.

Files whose names begin with an underscore are no plug-ins. This file imports next to nothing,
because the code of every job that reads images depends on it.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.plugins import load
from gauntlet.data._dataset import Dataset


def load_dataset(source: str, settings: dict, *, mirrors: list[str], cache: Path) -> Dataset:
    """Get a data set from its source, verified and complete.

    `settings` are the plug-in's keyword settings. Downloads are looked for in the folder `cache`,
    then at the mirrors (http(s) URLs or folders), then at the source's own places.
    Raises GauntletError for wrong settings, damaged files, and downloads that cannot be had.
    """
    return load("data", source)(mirrors, cache, **settings)


def read_images(directory: str | Path, indices: Sequence[int] | None = None) -> np.ndarray:
    """Read a data set's images, all or those at `indices`, in that order.

    Gives float32 [N, C, H, W] in [0, 1]. Raises GauntletError for an unreadable file.
    """
    stored = np.asarray(read_array(Path(directory) / "images.npy"))
    chosen = stored if indices is None else stored[np.asarray(indices, dtype=np.int64)]
    images = chosen.astype(np.float32)
    images /= np.float32(read_meta(directory)["max_value"])
    return images


def read_labels(directory: str | Path, indices: Sequence[int] | None = None) -> np.ndarray:
    """Read a data set's labels as int64 [N], all or those at `indices`, in that order."""
    labels = np.array(read_array(Path(directory) / "labels.npy"), dtype=np.int64)
    return labels if indices is None else labels[np.asarray(indices, dtype=np.int64)]


def read_meta(directory: str | Path) -> dict:
    """Read a data set's own words: classes, max_value, canonical, source, files, shape, n."""
    path = Path(directory) / "data.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise GauntletError(f"{path} is no readable JSON file ({error}).") from error


def read_array(path: str | Path) -> np.ndarray:
    """Open an .npy file as a read-only memory map; pickled or damaged content is refused."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise GauntletError(f"{path} is no readable .npy file ({error}).") from error
