"""A user's own arrays in a NumPy .npz file."""

import hashlib
import zipfile
import zlib
from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.data._dataset import Dataset

LIMIT = 1 << 33  # bytes of one unpacked array
UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    RuntimeError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)
LAYOUT = "npz"  # how its images can be counted before they are read


def npz(
    mirrors: list[str],
    cache: Path,
    *,
    path: str,
    images_key: str = "images",
    labels_key: str = "labels",
) -> Dataset:
    """Read images and labels; `path` is relative to the working directory.

    images: [N, H, W], [N, H, W, C] or [N, C, H, W] with 1 or 3 channels; uint8, or floats in
    [0, 1]. labels: [N] whole numbers 0..K-1, each class with an image, K at least 2.
    Raises GauntletError for anything else.
    """
    raw_images, raw_labels = (_array(path, key) for key in (images_key, labels_key))
    images, max_value = _values(_channels_first(raw_images, path), path)
    labels = _classes(raw_labels, path)
    if len(images) != len(labels):
        raise GauntletError(
            f"{path} holds {len(images)} images and {len(labels)} labels; each image needs one."
        )
    with open(path, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return Dataset(
        images=images,
        labels=labels,
        classes=[str(label) for label in range(labels.max() + 1)],
        max_value=max_value,
        files=[{"name": Path(path).name, "sha256": digest}],
    )


def _array(path: str, key: str) -> np.ndarray:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name[:-4] for name in archive.namelist() if name.endswith(".npy")]
            if key not in names:
                raise GauntletError(f"{path} has no array '{key}'; it has {', '.join(names)}.")
            if archive.getinfo(f"{key}.npy").file_size > LIMIT:
                raise GauntletError(f"The array '{key}' in {path} exceeds {LIMIT} bytes.")
            with archive.open(f"{key}.npy") as stream:
                return np.lib.format.read_array(stream, allow_pickle=False)
    except GauntletError:
        raise
    except FileNotFoundError as error:
        raise GauntletError(f"path is '{path}', but there is no such .npz file.") from error
    except UNREADABLE as error:
        raise GauntletError(f"{path} is no readable .npz file ('{key}': {error}).") from error


def _channels_first(images: np.ndarray, path: str) -> np.ndarray:
    if images.ndim == 3 and images.size:
        return images[:, None]
    first, last = ((images.ndim == 4 and images.shape[axis] in (1, 3)) for axis in (1, -1))
    if first == last or not images.size:
        raise GauntletError(
            f"The images in {path} have the shape {images.shape}; allowed are [N, H, W] and, with 1"
            " or 3 channels C on one side only, [N, H, W, C] or [N, C, H, W]."
        )
    return images if first else images.transpose(0, 3, 1, 2)


def _values(images: np.ndarray, path: str) -> tuple[np.ndarray, int | float]:
    if images.dtype == np.uint8:
        return np.ascontiguousarray(images), 255
    if images.dtype.kind != "f":
        raise GauntletError(
            f"The images in {path} are {images.dtype}; use uint8, or float in [0, 1]."
        )
    low, high = images.min(), images.max()
    if not (low >= 0 and high <= 1):  # true for NaN too
        raise GauntletError(
            f"The images in {path} range from {low} to {high}; floats must be in [0, 1]."
        )
    return np.ascontiguousarray(images, dtype=np.float32), 1.0


def _classes(labels: np.ndarray, path: str) -> np.ndarray:
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or not labels.size:
        raise GauntletError(
            f"The labels in {path} are {labels.dtype} of shape {labels.shape}; they must be whole"
            " numbers, one per image."
        )
    found = np.unique(labels)
    if found.size < 2 or found[0] != 0 or found[-1] != found.size - 1:
        shown = ", ".join(map(str, found[:8])) + (", ..." if found.size > 8 else "")
        raise GauntletError(
            f"The labels in {path} are {shown}; allowed are 0 to K - 1 without a gap, K at least 2."
        )
    return labels.astype(np.int64)
