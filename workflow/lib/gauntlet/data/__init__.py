"""Data sources, one plug-in file each: `gauntlet/data/<source>.py` holds the function `<source>`.

Files whose names begin with an underscore are no plug-ins. This file imports next to nothing,
because the code of every job that reads images depends on it.
"""

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


def read_array(path: str | Path) -> np.ndarray:
    """Open an .npy file as a read-only memory map; pickled or damaged content is refused."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise GauntletError(f"{path} is no readable .npy file ({error}).") from error
