"""One image file as an array of 8-bit values: what is read, what is converted, what is refused."""

import io
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from gauntlet.core.errors import GauntletError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
KINDS = "PNG, JPEG, WebP, BMP or TIFF"
GRAY = ("1", "L", "LA")
COLOR = ("P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
ORIENTATION, BITS_PER_SAMPLE = 0x0112, 258  # tags of EXIF and TIFF
PNG_DEPTH = 24  # place of the byte that says how many bits a channel of a PNG file has
TURNED = "images were turned upright as their EXIF orientation says"
TRANSPARENT = "images have transparent pixels, of which the color was kept and the alpha dropped"
FRAMES = "images have several frames or pages, of which the first was taken"


def decoded(
    content: bytes, file: Path, size: list[int] | None, channels: int | None, notes: Counter
) -> np.ndarray:
    """Decode, turn upright, convert and resize one image: uint8 [C, H, W].

    `notes` counts what was changed. Raises GauntletError, with the file's name, for an image that
    is damaged, too large, or of more than 8 bits per channel.
    """
    image = _opened(content, file)
    if image.mode not in GRAY + COLOR or _bits(image, content) > 8:
        raise GauntletError(
            f"{file} has pixels of mode {image.mode} with {_bits(image, content)} bits per "
            "channel; 8 bits per channel are needed."
        )
    image = _upright(image, notes)
    if image.has_transparency_data and image.convert("RGBA").getextrema()[3][0] < 255:
        notes[TRANSPARENT] += 1
    gray = channels == 1 or (channels is None and image.mode in GRAY)
    image = image.convert("L" if gray else "RGB")
    if size is not None:
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    return pixels[None] if gray else pixels.transpose(2, 0, 1)


def _opened(content: bytes, file: Path) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                image.load()
                return image
    except Exception as error:  # a malicious image can raise anything
        raise GauntletError(f"{file} is no readable {KINDS} image ({error}).") from error


def _bits(image: Image.Image, content: bytes) -> int:
    """Give the bits of a channel in the file, which Pillow reduces to 8 without a word."""
    if image.format == "PNG":
        return content[PNG_DEPTH]
    if image.format == "TIFF":
        return max(image.tag_v2.get(BITS_PER_SAMPLE, (8,)))
    return 8


def _upright(image: Image.Image, notes: Counter) -> Image.Image:
    notes[FRAMES] += getattr(image, "n_frames", 1) > 1
    if image.getexif().get(ORIENTATION, 1) in range(2, 9):
        notes[TURNED] += 1
        return ImageOps.exif_transpose(image)
    return image
