"""A user's own images: one sub-folder of PNG or JPEG files per class."""

import hashlib
import io
import logging
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from gauntlet.core.download.meter import Meter
from gauntlet.core.errors import GauntletError
from gauntlet.data._dataset import Dataset

logger = logging.getLogger(__name__)
SUFFIXES = (".png", ".jpg", ".jpeg")
GRAY = ("1", "L", "LA")
COLOR = ("P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
LIMIT = 1 << 28  # bytes of one file
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

    Classes are the sub-folders in alphabetical order. `size` is [height, width] in pixels to resize
    to (bilinear, anti-aliased); without it all images must have one size. `channels` is 1 or 3, by
    default that of the first image. Raises GauntletError, with the file's name, for images that are
    damaged, too large, of 16 bits or of mixed sizes; for fewer than two classes; for empty ones.
    """
    listed = _listed(Path(path))
    files = [(label, file) for label, (_, files) in enumerate(listed) for file in files]
    digest, images = hashlib.sha256(), None
    meter = Meter(f"Reading {path}", 0, sum(file.stat().st_size for _, file in files))
    for position, (_, file) in enumerate(files):
        content = _content(file)
        name = file.relative_to(path).as_posix()
        digest.update(f"{name}\0{hashlib.sha256(content).hexdigest()}\n".encode())
        image = _decoded(content, file, size, channels)
        if images is None:
            channels = len(image)
            images = np.empty((len(files), *image.shape), np.uint8)
        images[position] = _fitting(image, images, file, files[0][1])
        meter.add(len(content))
    meter.close()
    return Dataset(
        images=images,
        labels=np.array([label for label, _ in files], dtype=np.int64),
        classes=[name for name, _ in listed],
        max_value=255,
        files=[{"name": Path(path).name, "sha256": digest.hexdigest()}],
    )


def _listed(folder: Path) -> list[tuple[str, list[Path]]]:
    """List classes with their files, both in alphabetical order."""
    if not folder.is_dir():
        raise GauntletError(
            f"path is '{folder}', which must be a folder with a sub-folder per class."
        )
    classes = [item for item in folder.iterdir() if item.is_dir() and item.name[0] != "."]
    listed = [(item.name, _images_in(item)) for item in sorted(classes)]
    empty = [name for name, files in listed if not files]
    if len(empty) == len(listed):
        raise GauntletError(
            f"{folder} has no sub-folder with PNG or JPEG images; one per class is needed."
        )
    if empty:
        raise GauntletError(f"The class folder '{empty[0]}' in {folder} has no PNG or JPEG image.")
    if len(listed) < 2:
        raise GauntletError(
            f"{folder} has the one class '{listed[0][0]}'; at least two are needed."
        )
    return listed


def _images_in(folder: Path) -> list[Path]:
    files = sorted(file for file in folder.iterdir() if file.is_file() and file.name[0] != ".")
    images = [file for file in files if file.suffix.lower() in SUFFIXES]
    if len(images) < len(files):
        logger.warning("%s: %d files are no PNG or JPEG", folder, len(files) - len(images))
    return images


def _content(file: Path) -> bytes:
    with open(file, "rb") as stream:
        content = stream.read(LIMIT + 1)
    if len(content) > LIMIT:
        raise GauntletError(f"{file} has more than {LIMIT} bytes, the most that an image may have.")
    return content


def _decoded(
    content: bytes, file: Path, size: list[int] | None, channels: int | None
) -> np.ndarray:
    """Decode, convert and resize one image: uint8 [C, H, W]."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
                image.load()
    except Exception as error:  # a malicious image can raise anything
        raise GauntletError(f"{file} is no readable PNG or JPEG image ({error}).") from error
    if image.mode not in GRAY + COLOR:
        raise GauntletError(
            f"{file} has pixels of mode {image.mode}; 8 bits per channel are needed."
        )
    gray = channels == 1 or (channels is None and image.mode in GRAY)
    image = image.convert("L" if gray else "RGB")
    if size is not None:
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    return pixels[None] if gray else pixels.transpose(2, 0, 1)


def _fitting(image: np.ndarray, images: np.ndarray, file: Path, first: Path) -> np.ndarray:
    if image.shape != images.shape[1:]:
        found, wanted = (f"{shape[-2]}x{shape[-1]}" for shape in (image.shape, images.shape))
        raise GauntletError(
            f"{file} has {found} pixels but {first} has {wanted}; give a size: [height, width]."
        )
    return image
