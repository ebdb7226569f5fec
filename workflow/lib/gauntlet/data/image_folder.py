"""A user's own images: one sub-folder of image files per class, in a folder or in archives."""

import hashlib
import logging
from collections import Counter
from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.progress import Progress
from gauntlet.data._dataset import Dataset
from gauntlet.data._image_decode import decoded
from gauntlet.data._image_files import ImageTree
from gauntlet.data._image_layout import image_layout
from gauntlet.data._image_tree import image_tree

logger = logging.getLogger(__name__)
LOG_EVERY = 5.0  # seconds
LAYOUT = "folder"  # how its images can be counted before they are read


def image_folder(
    mirrors: list[str],
    cache: Path,
    *,
    path: str,
    size: list[int] | None = None,
    channels: int | None = None,
) -> Dataset:
    """Read a folder of images; `path` is relative to the working directory.

    PNG, JPEG, WebP, BMP and TIFF files are read; `path` can be a zip or tar archive of the folder.
    Classes are the sub-folders in alphabetical order; sub-folders `train` and `test` with the
    classes below them, or archives of these names, are the canonical split. `size` is [height,
    width] in pixels to resize to (bilinear, anti-aliased); without it all images must have one
    size. `channels` is 1 or 3, by default that of the first image. Raises GauntletError, with the
    file's name, for images that are damaged, too large, of 16 bits or of mixed sizes; for fewer
    than two classes; for empty ones.
    """
    tree = image_tree(Path(path))
    layout = image_layout(tree)
    images, digests = _read(tree, layout.names, size, channels)
    digest = hashlib.sha256()
    for name in layout.names:
        digest.update(f"{name}\0{digests[name]}\n".encode("utf-8", "surrogateescape"))
    return Dataset(
        images=images,
        labels=np.array(layout.labels, dtype=np.int64),
        classes=layout.classes,
        max_value=255,
        files=[{"name": Path(path).name, "sha256": digest.hexdigest()}],
        canonical=layout.canonical,
    )


def _read(
    tree: ImageTree, names: list[str], size: list[int] | None, channels: int | None
) -> tuple[np.ndarray, dict[str, str]]:
    """Read the images, uint8 [N, C, H, W] in the order of `names`, and the sha256 of each file."""
    places = {name: place for place, name in enumerate(names)}
    images, first, digests, notes = None, None, {}, Counter()
    progress = Progress(f"images of {tree.path.name}", len(names), every=LOG_EVERY)
    for count, (name, content) in enumerate(tree.contents(set(names)), 1):
        file = tree.path / name
        image = decoded(content, file, size, channels, notes)
        digests[name] = hashlib.sha256(content).hexdigest()
        if images is None:
            channels, first = len(image), file
            images = np.empty((len(names), *image.shape), np.uint8)
        images[places[name]] = _fitting(image, images, file, first)
        progress.done(count)
    if len(digests) < len(names):
        raise GauntletError(f"{tree.path} changed while it was read; run again.")
    for note, count in (tree.passed_over + notes).items():
        logger.warning("%s: %d %s", tree.path, count, note)
    return images, digests


def _fitting(image: np.ndarray, images: np.ndarray, file: Path, first: Path) -> np.ndarray:
    if image.shape != images.shape[1:]:
        found, wanted = (f"{shape[-2]}x{shape[-1]}" for shape in (image.shape, images.shape))
        raise GauntletError(
            f"{file} has {found} pixels but {first} has {wanted}; give a size: [height, width]."
        )
    return image
