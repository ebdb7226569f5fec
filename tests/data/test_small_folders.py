"""Folders of images as a data source: classes, colors, sizes, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gauntlet.core.errors import GauntletError
from tests.helpers.sources import source

pytestmark = pytest.mark.usefixtures("here")


def save_image(path: str, size=(5, 4), mode="RGB", value=100, **options) -> None:
    """Write an image of (width, height) pixels."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    color = value if mode in ("L", "I;16", "1", "P") else (value,) * len(mode)
    Image.new(mode, size, color).save(path, **options)


def two_classes(**options) -> None:
    for name in ("f/b/1.png", "f/b/0.jpg", "f/a/x.PNG"):
        save_image(name, **options)


def test_a_folder_of_images_has_its_classes_and_files_in_order():
    save_image("f/b/2.png", value=9)
    save_image("f/b/10.png", value=8)
    save_image("f/a/z.png", value=7)
    save_image("f/.hidden/z.png")
    Path("f/b/notes.txt").touch()
    data = source("image_folder", path="f")
    assert (data.classes, data.labels.tolist()) == (["a", "b"], [0, 1, 1])
    assert data.images.shape == (3, 3, 4, 5)
    assert data.images[:, 0, 0, 0].tolist() == [7, 8, 9]
    digest = data.files[0]["sha256"]
    save_image("f/b/2.png", value=10)
    assert source("image_folder", path="f").files[0]["sha256"] != digest


COLORS = [  # modes of both images, the setting, channels
    (("L", "L"), None, 1),
    (("L", "RGB"), None, 1),
    (("RGB", "L"), None, 3),
    (("L", "L"), 3, 3),
    (("RGBA", "P"), 1, 1),
]


@pytest.mark.parametrize(("modes", "setting", "channels"), COLORS)
def test_channels_are_as_set_or_as_in_the_first_image(modes, setting, channels):
    for folder, mode in zip("ab", modes, strict=True):
        save_image(f"f/{folder}/0.png", mode=mode)
    assert source("image_folder", path="f", channels=setting).images.shape == (2, channels, 4, 5)


def test_mixed_sizes_are_resized_without_aliasing():
    stripes = np.tile(np.array([0, 255], np.uint8), (32, 16))
    save_image("f/a/0.png", size=(9, 3), mode="L", value=100)
    Path("f/b").mkdir()
    Image.fromarray(stripes).save("f/b/0.png")
    images = source("image_folder", path="f", size=[4, 8]).images
    assert images.shape == (2, 1, 4, 8)
    assert (images[0] == 100).all()
    assert abs(images[1].astype(int) - 127).max() <= 32


FOLDERS = {
    "no folder": (lambda: None, "path is 'f', which must be a folder"),
    "a file": (lambda: Path("f").touch(), "path is 'f', which must be a folder"),
    "empty": (lambda: Path("f").mkdir(), "has no sub-folder with PNG, JPEG"),
    "images without classes": (lambda: save_image("f/0.png"), "has no sub-folder with"),
    "one class": (lambda: save_image("f/a/0.png"), "has the one class 'a'; at least two"),
    "an empty class": (lambda: (two_classes(), Path("f/c").mkdir()), "'c' in f has no PNG"),
    "mixed sizes": (
        lambda: (two_classes(), save_image("f/b/2.png", size=(4, 5))),
        r"f/b/2.png has 5x4 pixels but f/a/x.PNG has 4x5; give a size: \[height, width\]",
    ),
    "cut off": (
        lambda: (two_classes(), Path("f/b/1.png").write_bytes(Path("f/b/1.png").read_bytes()[:50])),
        "f/b/1.png is no readable",
    ),
    "no image": (lambda: (two_classes(), Path("f/b/1.png").write_text("?")), "f/b/1.png is no"),
    "a GIF": (
        lambda: (two_classes(), save_image("f/b/1.png", format="GIF")),
        "f/b/1.png is no readable PNG, JPEG",
    ),
    "a bomb": (
        lambda: (two_classes(), save_image("f/a/y.png", size=(20_000, 5_000), mode="1")),
        "f/a/y.png is no readable .*exceeds limit",
    ),
    "16 bits": (lambda: (two_classes(), save_image("f/a/y.png", mode="I;16")), "8 bits per"),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_a_bad_folder_of_images_is_refused(case):
    make, words = FOLDERS[case]
    make()
    with pytest.raises(GauntletError, match=words):
        source("image_folder", path="f")
