"""How many images of which shape a data set has, before it is there. Standard library only."""

import os
import struct
import zipfile
from collections.abc import Mapping
from functools import cache
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from gauntlet.study.models import SHAPES, TEN, known_shape

TEST_SHARE = 0.2  # where a source has no test set and the settings name no share
CANONICAL = {"cifar10": (50000, 10000), "fashion_mnist": (60000, 10000), "mnist": (60000, 10000)}
TOTALS = {source: sum(parts) for source, parts in CANONICAL.items()} | {"sklearn_digits": 1797}
PICTURES = (".png", ".jpg", ".jpeg")
ELSE = ((3, 32, 32), 10000)  # what a data set is taken for that cannot be looked at yet
HEAD = 1 << 16  # bytes of an array's file in which its shape is looked for


class Population(NamedTuple):
    """Images by part, their shape (C, H, W), and the number of classes."""

    train: int
    validation: int
    test: int
    shape: tuple[int, int, int]
    classes: int

    @property
    def pixels(self) -> int:
        """Count the values of one image."""
        return prod(self.shape)


def population(dataset: Mapping[str, Any]) -> Population:
    """Count a data set's images by part as its split will divide them."""
    shape, total, classes = _looked_at(dataset)
    split = dataset["split"]
    canonical = CANONICAL.get(dataset["source"])
    if split["test"] is None and canonical:
        train, test = canonical
    else:
        test = round((split["test"] or TEST_SHARE) * total)
        train = total - test
    validation = round(split["validation"] * train)
    counts = {"train": train - validation, "validation": validation, "test": test}
    limits = {part: split[f"{part}_limit"] for part in counts}
    kept = {part: min(n, limits[part] or n) for part, n in counts.items()}
    return Population(**kept, shape=shape, classes=classes)


def _looked_at(dataset: Mapping[str, Any]) -> tuple[tuple[int, int, int], int, int]:
    """Give shape, number of images and of classes."""
    source = dataset["source"]
    if source in SHAPES:
        return SHAPES[source], TOTALS[source], TEN
    if source == "npz":
        shape, total = _array_shape(dataset["path"], dataset["images_key"]) or ELSE
        return shape, total, TEN
    shape = known_shape(dict(dataset)) or (dataset["channels"], *ELSE[0][1:])
    total, classes = _pictures(dataset["path"])
    return shape, total or ELSE[1], classes or TEN


@cache
def _pictures(path: str) -> tuple[int, int]:
    """Count a folder's pictures and its sub-folders with pictures."""
    try:
        folders = [entry.path for entry in os.scandir(path) if entry.is_dir()]
        counts = [sum(n.lower().endswith(PICTURES) for n in os.listdir(f)) for f in folders]
    except OSError:
        return 0, 0
    return sum(counts), sum(count > 0 for count in counts)


@cache
def _array_shape(path: str, key: str) -> tuple[tuple[int, int, int], int] | None:
    """Read shape (C, H, W) and number of images from the head of an array in an .npz file."""
    try:
        with zipfile.ZipFile(Path(path)) as file, file.open(f"{key}.npy") as array:
            size = _shape_in(array.read(HEAD))
    except (OSError, KeyError, ValueError, IndexError, struct.error, zipfile.BadZipFile):
        return None
    if len(size) == 3:
        return (1, *size[1:]), size[0]
    if len(size) != 4:
        return None
    last = size[3] in (1, 3) and size[1] not in (1, 3)
    return ((size[3], size[1], size[2]) if last else size[1:]), size[0]


def _shape_in(head: bytes) -> tuple[int, ...]:
    """Read the shape that a .npy file's head tells."""
    wide = head[6] > 1  # the version decides how long the length is
    start = 12 if wide else 10
    (length,) = struct.unpack("<I" if wide else "<H", head[8:start])
    text = head[start : start + length].decode("latin1")
    inside = text.split("'shape':")[1].split("(")[1].split(")")[0]
    return tuple(int(number) for number in inside.split(",") if number.strip())
