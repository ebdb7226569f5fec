"""How many images of which shape a data set has, before it is downloaded. Standard library only."""

import os
import zipfile
from collections import Counter
from collections.abc import Mapping
from functools import cache
from math import prod
from typing import Any, NamedTuple

from gauntlet.core.folder_listing import IMAGE_SUFFIXES
from gauntlet.core.plugin_facts import facts
from gauntlet.study.models import known_shape
from gauntlet.study.split_settings import chosen_count

Shape = tuple[int, int, int]
TEST_SHARE = 0.2  # where a source has no test set and the settings name no share
ELSE_SHAPE, ELSE_IMAGES, ELSE_CLASSES = (3, 32, 32), 10000, 10  # assumed where nothing is known


class DatasetSizes(NamedTuple):
    """Images by part, their shape (C, H, W), and the number of classes."""

    train: int
    validation: int
    test: int
    shape: Shape
    classes: int

    @property
    def pixels(self) -> int:
        """Count the values of one image."""
        return prod(self.shape)


def dataset_sizes(dataset: Mapping[str, Any]) -> DatasetSizes:
    """Count a data set's images by part as its split will divide them."""
    shape, images, classes = _found(dataset)
    split = dataset["split"]
    if isinstance(images, dict) and split["test"] is None:
        train, test = images["train"], images["test"]
    else:
        total = sum(images.values()) if isinstance(images, dict) else images
        test = round((split["test"] or TEST_SHARE) * total)
        train = total - test
    chosen = chosen_count(split)
    if chosen is not None:
        test, train = chosen, train if isinstance(images, dict) else total - chosen
    validation = round(split["validation"] * train)
    counts = {"train": train - validation, "validation": validation, "test": test}
    limits = {part: split[f"{part}_limit"] for part in counts}
    kept = {part: min(n, limits[part] or n) for part, n in counts.items()}
    return DatasetSizes(**kept, shape=shape, classes=classes)


def _found(dataset: Mapping[str, Any]) -> tuple[Shape, int | dict[str, int], int]:
    """Give shape, images (all, or by part) and classes: from the source's file, or the data."""
    known = facts("data", dataset["source"])
    shape, images = known_shape(dict(dataset)), known.get("IMAGES")
    classes = known.get("CLASS_COUNT", ELSE_CLASSES)
    if known.get("LAYOUT") == "npz":
        shape, images = _array_shape(dataset["path"], dataset["images_key"]) or (shape, images)
    elif known.get("LAYOUT") == "folder":
        shape = shape or (dataset["channels"], *ELSE_SHAPE[1:])
        images, folders = _count_files(dataset["path"])
        classes = folders or classes
    return shape or ELSE_SHAPE, images or ELSE_IMAGES, classes


@cache
def _count_files(path: str) -> tuple[int | dict[str, int], int]:
    """Count image files and classes of a folder, or of zip archives of one; 0 if unknown."""
    try:
        counts = _files_by_folder(path)
    except (OSError, zipfile.BadZipFile):
        return 0, 0
    tops = {parts[0] for parts in counts}
    if tops == {"train", "test"} and all(len(parts) > 1 for parts in counts):
        split = {top: sum(n for p, n in counts.items() if p[0] == top) for top in sorted(tops)}
        return split, len({parts[1] for parts in counts})
    return sum(counts.values()), len(tops)


def _files_by_folder(path: str) -> dict[tuple[str, ...], int]:
    """Count image files by the parts of the folder that holds them; none are at the root."""
    found: Counter[tuple[str, ...]] = Counter()
    if os.path.isfile(path) and zipfile.is_zipfile(path):
        return _files_in_zip(path)
    folders = [entry for entry in os.scandir(path) if entry.is_dir()]
    archives = {part: os.path.join(path, f"{part}.zip") for part in ("train", "test")}
    visible = any(not entry.name.startswith(".") for entry in folders)
    if not visible and all(map(zipfile.is_zipfile, archives.values())):
        for part, archive in archives.items():
            found.update({(part, *parts): n for parts, n in _files_in_zip(archive).items()})
        return found
    for top in folders:
        for folder, _, files in os.walk(top.path):
            parts = (top.name, *os.path.relpath(folder, top.path).split(os.sep))
            count = sum(file.lower().endswith(IMAGE_SUFFIXES) for file in files)
            found[tuple(part for part in parts if part != ".")] += count
    return +found


def _files_in_zip(path: str) -> Counter[tuple[str, ...]]:
    """Count image files by folder, without the one folder that holds everything else."""
    found: Counter[tuple[str, ...]] = Counter()
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.lower().endswith(IMAGE_SUFFIXES)]
    found.update(tuple(name.split("/")[:-1]) for name in names if "/" in name)
    while len({parts[0] for parts in found}) == 1 and all(len(parts) > 1 for parts in found):
        found = Counter({parts[1:]: count for parts, count in found.items()})
    return found


@cache
def _array_shape(path: str, key: str) -> tuple[Shape, int] | None:
    """Read shape (C, H, W) and number of images from the head of an array in an .npz file."""
    from numpy.lib import format as npy

    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    try:
        with zipfile.ZipFile(path) as file, file.open(f"{key}.npy") as array:
            size = read[npy.read_magic(array)](array)[0]
    except (OSError, LookupError, ValueError, zipfile.BadZipFile):
        return None
    if len(size) == 3:
        return (1, *size[1:]), size[0]
    if len(size) != 4:
        return None
    last = size[3] in (1, 3) and size[1] not in (1, 3)
    return ((size[3], size[1], size[2]) if last else size[1:]), size[0]
