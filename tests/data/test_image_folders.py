"""Folders of images as they come: other formats, odd files, split folders, archives."""

import io
import logging
import os
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from download_data import download_data
from gauntlet.core.errors import GauntletError
from gauntlet.core.folder_listing import list_folder, manifest_text
from gauntlet.data import load_dataset


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging.getLogger("gauntlet"), "propagate", True)
    return tmp_path


def load(path: str = "f", **settings):
    return load_dataset("image_folder", {"path": path, **settings}, mirrors=[], cache=Path("cache"))


def save(path: str, value=100, mode="RGB", size=(5, 4), **options) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode in ("L", "P") else value_of(value, mode)).save(
        path, **options
    )


def value_of(value, mode: str):
    return value if isinstance(value, tuple) else (value,) * len(mode)


def first_values(data) -> list[int]:
    return data.images[:, 0, 0, 0].tolist()


def test_every_format_is_read():
    lossless = {"webp": {"lossless": True}}
    for place, ending in enumerate(("png", "webp", "bmp", "tif", "tiff", "jpg", "JPEG")):
        save(f"f/{'ab'[place % 2]}/{place}.{ending}", 10 * place, **lossless.get(ending, {}))
    assert first_values(load()) == [0, 20, 40, 60, 10, 30, 50]


def test_transparent_pixels_keep_their_color_and_are_counted(caplog):
    save("f/a/0.png", (10, 20, 30, 0), "RGBA")
    save("f/a/1.png", (40, 20, 30, 255), "RGBA")
    save("f/b/0.png", 5)
    assert first_values(load()) == [10, 40, 5]
    assert "1 images have transparent pixels" in caplog.text


def test_images_are_turned_upright_as_exif_says(caplog):
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    Path("f/a").mkdir(parents=True)
    Image.fromarray(pixels).save("f/a/0.png", exif=exif)
    save("f/b/0.png", size=(4, 5))
    assert np.array_equal(load().images[0], np.rot90(pixels, -1).transpose(2, 0, 1))
    assert "1 images were turned upright" in caplog.text


def test_the_first_of_several_frames_is_taken(caplog):
    save("f/a/0.tif", 7, save_all=True, append_images=[Image.new("RGB", (5, 4))])
    save("f/b/0.png", 8)
    assert first_values(load()) == [7, 8]
    assert "1 images have several frames" in caplog.text


def test_sub_folders_belong_to_their_class_and_the_rest_is_counted(caplog):
    save("f/a/x/0.png", 1)
    save("f/a/1.png", 2)
    save("f/b/0.png", 3)
    save("f/loose.png")
    Path("f/a/notes.txt").touch()
    Path("f/a/2.png").symlink_to("nowhere")
    data = load()
    assert first_values(data) == [2, 1, 3]
    assert data.labels.tolist() == [0, 0, 1]
    for words in ("1 files are no images", "1 links lead nowhere", "1 images lie in no class"):
        assert words in caplog.text


def chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png_16() -> bytes:
    """Write a PNG of 2x1 RGB pixels with 16 bits per channel, which Pillow cannot."""
    head = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" + bytes(12))
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def tiff_16() -> bytes:
    """Write a TIFF of 2x1 RGB pixels with 16 bits per channel."""
    depth, pixels = 8, 14
    tags = [(256, 4, 1, 2), (257, 4, 1, 1), (258, 3, 3, depth), (259, 3, 1, 1), (262, 3, 1, 2)]
    tags += [(273, 4, 1, pixels), (277, 3, 1, 3), (278, 4, 1, 1), (279, 4, 1, 12)]
    table = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    data = struct.pack("<HHH", 16, 16, 16) + bytes(12)
    return b"II*\0" + struct.pack("<I", 26) + data + struct.pack("<H", 9) + table + bytes(4)


@pytest.mark.parametrize(("name", "content"), [("0.png", png_16()), ("0.tif", tiff_16())])
def test_16_bits_per_channel_are_refused(name, content):
    save("f/b/0.png")
    Path("f/a").mkdir()
    Path("f/a", name).write_bytes(content)
    with pytest.raises(GauntletError, match=f"f/a/{name} has pixels of mode RGB with 16 bits"):
        load()


def split_folders(root: str = "f") -> None:
    for part, values in (("train", (1, 2)), ("test", (3, 4))):
        for name, value in zip("ba", values, strict=True):
            save(f"{root}/{part}/{name}/0.png", value)
    save(f"{root}/train/b/1.png", 5)


def test_train_and_test_folders_are_the_canonical_split():
    split_folders()
    data = load()
    assert (data.classes, data.canonical) == (["a", "b"], {"train": 3, "test": 2})
    assert data.labels.tolist() == [0, 1, 1, 0, 1]
    assert first_values(data) == [2, 1, 5, 4, 3]


SPLITS = {
    "a class without test images": (lambda: os.remove("f/test/a/0.png"), "'a' in f/test has no"),
    "a class in test only": (lambda: save("f/test/c/0.png"), "'c' in f/train has no"),
    "a validation folder": (lambda: save("f/val/a/0.png"), "has the folders test, train, val;"),
    "no test folder": (
        lambda: os.rename("f/test", "f/valid"),
        "has the folders train, valid; allowed are train and test",
    ),
}


@pytest.mark.parametrize("case", SPLITS)
def test_split_folders_that_do_not_fit_are_refused(case):
    split_folders()
    change, words = SPLITS[case]
    change()
    with pytest.raises(GauntletError, match=words):
        load()


def test_two_classes_may_be_called_train_and_test():
    save("f/train/0.png")
    save("f/test/0.png")
    assert (load().classes, load().canonical) == (["test", "train"], None)


def packed(ending: str, root: str = "f") -> str:
    """Pack a folder; the members of a tar archive come in no order."""
    path = f"packed{ending}"
    files = sorted(Path(root).rglob("*.png"))
    if ending == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in files:
                archive.write(file)
    else:
        with tarfile.open(path, f"w:{ending.removeprefix('.tar').removeprefix('.')}") as archive:
            for file in reversed(files):
                archive.add(file, f"./{file}")
    return path


@pytest.mark.parametrize("ending", [".zip", ".tar", ".tar.gz", ".tar.xz"])
@pytest.mark.parametrize("split", [True, False])
def test_an_archive_is_read_as_the_folder_it_holds(here, ending, split):
    split_folders("f") if split else split_folders("f/x/f")
    root = "f" if split else "f/x/f/train"
    folder, archive = load(root), load(packed(ending, root))
    assert np.array_equal(folder.images, archive.images)
    assert np.array_equal(folder.labels, archive.labels)
    assert (folder.classes, folder.canonical) == (archive.classes, archive.canonical)
    assert folder.files[0]["sha256"] == archive.files[0]["sha256"]
    assert {path.name for path in here.iterdir()} == {"f", f"packed{ending}"}


def png() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (5, 4)).save(stream, "PNG")
    return stream.getvalue()


def zipped(*names: str) -> None:
    with zipfile.ZipFile("a.zip", "w") as archive:
        for name in names:
            archive.writestr(name, png())


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_with_a_name_twice_is_refused():
    zipped("a/0.png", "b/0.png", "b/0.png")
    with pytest.raises(GauntletError, match="holds b/0.png twice"):
        load("a.zip")


def test_names_that_lead_out_of_an_archive_are_left_out():
    zipped("../a/9.png", "/a/0.png", "b/0.png", "__MACOSX/b/._0.png", "b/.hidden.png")
    data = load("a.zip")
    assert (data.classes, len(data.labels)) == (["a", "b"], 2)


def test_a_cut_off_archive_is_refused():
    split_folders()
    for ending in (".tar.gz", ".tar", ".tar.xz", ".zip"):
        path = Path(packed(ending))
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
        with pytest.raises(GauntletError, match="is a damaged archive|which must be a folder"):
            load(str(path))


def test_an_image_that_is_too_large_in_an_archive_is_refused(monkeypatch):
    monkeypatch.setattr("gauntlet.data._image_files.LIMIT", len(png()) - 1)
    zipped("a/0.png", "b/0.png")
    with pytest.raises(GauntletError, match=r"a\.zip/a/0\.png has more than \d+ bytes"):
        load("a.zip")


def test_a_folder_that_changes_while_it_is_imported_is_refused():
    split_folders()
    manifest = Path("manifest.tsv")
    manifest.write_bytes(manifest_text(list_folder("f")))
    outputs, spec = ("i.npy", "l.npy", "d.json"), {"source": "image_folder", "path": "f"}
    download_data(*outputs, spec=spec, files=[str(manifest)])
    save("f/train/a/1.png")
    with pytest.raises(GauntletError, match="folder f changed while it was imported"):
        download_data(*outputs, spec=spec, files=[str(manifest)])
