"""Data sources as they are loaded in a folder without network."""

from pathlib import Path

import numpy as np

from gauntlet.data import load_dataset

DRAWS = np.random.default_rng(0)


def source(name: str, *mirrors: Path, **settings):
    return load_dataset(name, settings, mirrors=[*map(str, mirrors)], cache=Path("cache"))
