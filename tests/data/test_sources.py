"""Data sources on small files in the official layouts, whole and broken."""

import gzip
import hashlib
import importlib
import io
import json
import os
import pickle
import subprocess
import sys
import tarfile
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from download_data import download_data
from gauntlet.core.errors import GauntletError
from gauntlet.data import load_dataset, read_array
from gauntlet.data._idx import NAMES, parse
from tests.helpers.places import LIBRARY

DRAWS = np.random.default_rng(0)


def source(name: str, *mirrors: Path, **settings):
    return load_dataset(name, settings, mirrors=[*map(str, mirrors)], cache=Path("cache"))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    """Work in an empty folder without network."""
    monkeypatch.chdir(tmp_path)
    for name in ("mnist", "fashion_mnist", "cifar10"):
        monkeypatch.setattr(f"gauntlet.data.{name}.OFFICIAL", ())
    monkeypatch.setenv("PATH", "")
    return tmp_path


def idx(array: np.ndarray) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


@pytest.fixture(params=["mnist", "fashion_mnist"])
def small_mnist(request, here, monkeypatch):
    """Write a small data set in MNIST's layout, and expect its digests."""
    images = DRAWS.integers(0, 256, (12, 28, 28), dtype=np.uint8)
    labels = np.arange(12, dtype=np.uint8) % 10
    contents = [idx(part) for part in (images[:8], labels[:8], images[8:], labels[8:])]
    (here / request.param).mkdir()
    digests = importlib.import_module(f"gauntlet.data.{request.param}").DIGESTS
    for name, content in zip(NAMES, contents, strict=True):
        monkeypatch.setitem(digests, name, hashlib.sha256(content).hexdigest())
        (here / request.param / f"{name}.gz").write_bytes(gzip.compress(content))
    return request.param, images, labels


def test_mnist_is_read_in_its_own_order(small_mnist, here):
    name, images, labels = small_mnist
    data = source(name, here)
    assert np.array_equal(data.images, images[:, None])
    assert np.array_equal(data.labels, labels)
    assert data.canonical == {"train": 8, "test": 4}
    assert [file["name"] for file in data.files] == list(NAMES)
    assert len(data.classes) == 10


def test_mnist_with_a_changed_pixel_is_refused(small_mnist, here):
    path = here / small_mnist[0] / f"{NAMES[2]}.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[-1] ^= 1
    path.write_bytes(gzip.compress(content))
    with pytest.raises(GauntletError, match=f"{NAMES[2]}.* has sha256"):
        source(small_mnist[0], here)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no idx file"),
        (idx(np.zeros((2, 2), np.uint8)), "no idx file"),
        (idx(np.zeros(3, np.uint8))[:-1], r"announces \[3\] but holds 2"),
        (bytes([0, 0, 8, 1]) + b"\xff" * 4, "announces"),
    ],
)
def test_another_file_than_idx_is_refused(content, words):
    with pytest.raises(GauntletError, match=words):
        parse(content, 1)


def batch(count: int, **changes) -> dict:
    whole = {
        "data": DRAWS.integers(0, 256, (count, 3072), dtype=np.uint8),
        "labels": DRAWS.integers(0, 10, count).tolist(),
    }
    return {key.encode(): value for key, value in (whole | changes).items()}


def small_cifar10(folder: Path, monkeypatch, batches: list[bytes]) -> None:
    """Write an archive in the official layout, and expect its digests."""
    module = importlib.import_module("gauntlet.data.cifar10")
    with tarfile.open(folder / module.ARCHIVE, "w:gz") as archive:
        for name, content in zip(module.DIGESTS, batches, strict=True):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
            digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
            monkeypatch.setitem(module.DIGESTS, name, digest)


def python_2_pickle(each: dict) -> bytes:
    """Write a batch as the official files are: byte strings without a codec."""
    data, labels = each[b"data"], bytes(each[b"labels"])
    shape = b"".join(b"J" + size.to_bytes(4, "little") for size in data.shape)
    return (
        b"\x80\x02}(U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R"
        b"(K\x01" + shape + b"\x86cnumpy\ndtype\nU\x02u1K\0K\x01\x87R(K\x03U\x01|NNN"
        b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89T"
        + data.nbytes.to_bytes(4, "little")
        + data.tobytes()
        + b"tbU\x06labels]("
        + b"".join(b"K" + bytes([label]) for label in labels)
        + b"eu."
    )


WRITERS = {
    "Python 2": python_2_pickle,
    **{f"protocol {n}": partial(pickle.dumps, protocol=n) for n in (0, 2, 4)},
}


@pytest.mark.parametrize("writer", WRITERS)
def test_cifar10_is_read_in_its_own_order(here, monkeypatch, writer):
    batches = [batch(count) for count in (3, 3, 3, 3, 3, 2)]
    small_cifar10(here, monkeypatch, [WRITERS[writer](each) for each in batches])
    data = source("cifar10", here)
    assert data.images.shape == (17, 3, 32, 32)
    row_2_of_green = slice(1024 + 2 * 32, 1024 + 3 * 32)
    assert np.array_equal(data.images[3, 1, 2], batches[1][b"data"][0, row_2_of_green])
    assert data.labels.tolist() == [label for each in batches for label in each[b"labels"]]
    assert data.canonical == {"train": 15, "test": 2}


class Calls:
    """A pickle that calls a function when it is read."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


BATCHES = {
    "a command": (Calls(os.system, "/bin/touch trap"), "system is not allowed"),
    "eval": (Calls(eval, "open('trap', 'w')"), "eval is not allowed"),
    "a file": (Calls(open, "trap", "w"), "open is not allowed"),
    "a part of numpy": (Calls(np.save, "trap.npy", 1), "save is not allowed"),
    "a list": ([1], "no batch"),
    "no labels": ({b"data": np.zeros((1, 3072), np.uint8)}, "no batch"),
    "words for labels": (batch(2, labels=["a", "b"]), "no batch"),
    "other images": (batch(2, data=np.zeros((2, 3072))), "must hold uint8"),
    "fewer labels": (batch(2, labels=[1]), "must hold uint8"),
    "label 10": (batch(2, labels=[1, 10]), "must hold uint8"),
}


@pytest.mark.parametrize("case", BATCHES)
def test_a_hostile_batch_is_refused_and_does_nothing(here, monkeypatch, case):
    value, words = BATCHES[case]
    small_cifar10(here, monkeypatch, [pickle.dumps(value), *[pickle.dumps(batch(1))] * 5])
    with pytest.raises(GauntletError, match=words):
        source("cifar10", here)
    assert {path.name for path in here.iterdir()} == {"cifar-10-python.tar.gz", "cache"}


def test_digits_are_the_same_by_either_way(monkeypatch):
    fast = source("sklearn_digits")
    assert fast.images.shape == (1797, 1, 8, 8)
    assert (fast.images.min(), fast.images.max(), fast.max_value) == (0, 16, 16)
    assert np.bincount(fast.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    monkeypatch.setattr("gauntlet.data.sklearn_digits.TEXT", "0" * 64)
    slow = source("sklearn_digits")
    assert np.array_equal(fast.images, slow.images)
    assert np.array_equal(fast.labels, slow.labels)


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


BYTES = DRAWS.integers(0, 256, (6, 4, 5, 3), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])
ARRAYS = {
    "grey": (BYTES[..., 0], BYTES[..., :1].transpose(0, 3, 1, 2), 255),
    "channels last": (BYTES, BYTES.transpose(0, 3, 1, 2), 255),
    "channels first": (BYTES.transpose(0, 3, 1, 2), BYTES.transpose(0, 3, 1, 2), 255),
    "floats": (BYTES / 255, (BYTES / 255).astype(np.float32).transpose(0, 3, 1, 2), 1.0),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_arrays_are_brought_into_one_shape(case):
    given, wanted, max_value = ARRAYS[case]
    np.savez_compressed("a.npz", x=given, y=LABELS.astype(np.uint8))
    data = source("npz", path="a.npz", images_key="x", labels_key="y")
    assert np.array_equal(data.images, wanted)
    assert data.images.flags.c_contiguous
    assert (data.classes, data.max_value) == (["0", "1", "2"], max_value)
    assert data.labels.tolist() == LABELS.tolist()


def with_value(value: float) -> np.ndarray:
    images = np.zeros((6, 4, 5))
    images[3, 2, 1] = value
    return images


NPZ = {  # what differs from a good file, words of the message
    "no images": ({"images": None}, "has no array 'images'; it has labels"),
    "pickled": ({"images": np.array([{}] * 6)}, "is no readable .npz"),
    "both sides": ({"images": BYTES[:, :3]}, "on one side only"),
    "two channels": ({"images": BYTES[..., :2]}, "on one side only"),
    "flat": ({"images": BYTES.reshape(6, -1)}, r"shape \(6, 60\)"),
    "without images": ({"images": BYTES[:0], "labels": LABELS[:0]}, "have the shape"),
    "integers": ({"images": BYTES.astype(np.int64)}, "are int64; use uint8"),
    "0 to 255": ({"images": BYTES / 1.0}, "range from 0.0 to 25.*must be in"),
    "below 0": ({"images": with_value(-0.1)}, "range from -0.1 to 0.0"),
    "NaN": ({"images": with_value(np.nan)}, "range from nan to nan"),
    "infinite": ({"images": with_value(np.inf)}, "range from 0.0 to inf"),
    "fewer labels": ({"labels": LABELS[:5]}, "6 images and 5 labels"),
    "one-hot": ({"labels": np.eye(6)}, "must be whole numbers"),
    "float labels": ({"labels": LABELS / 1.0}, "must be whole numbers"),
    "from 1": ({"labels": LABELS + 1}, "are 1, 2, 3; allowed are 0 to K - 1"),
    "negative": ({"labels": LABELS - 1}, "are -1, 0, 1; allowed"),
    "a gap": ({"labels": LABELS * 2}, "are 0, 2, 4; allowed"),
    "one class": ({"labels": LABELS * 0}, "are 0; allowed"),
}


@pytest.mark.parametrize("case", NPZ)
def test_bad_arrays_are_refused(case):
    changes, words = NPZ[case]
    arrays = {"images": BYTES, "labels": LABELS} | changes
    np.savez("a.npz", **{key: value for key, value in arrays.items() if value is not None})
    with pytest.raises(GauntletError, match=words):
        source("npz", path="a.npz")


def npz_bytes() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, images=BYTES, labels=LABELS)
    return stream.getvalue()


def huge_header() -> bytes:
    stream = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (1 << 50, 4, 5)}
    np.lib.format.write_array_header_1_0(stream, header)
    array = io.BytesIO()
    np.savez(array, labels=LABELS)
    with zipfile.ZipFile(array, "a") as archive:
        archive.writestr("images.npy", stream.getvalue())
    return array.getvalue()


DAMAGED = {
    "cut off": npz_bytes()[:300],
    "a changed byte": npz_bytes().replace(BYTES.tobytes()[50:60], b"0123456789"),
    "no archive": b"\x93NUMPY",
    "empty": b"",
    "more than there is": huge_header(),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_npz_is_refused(case):
    Path("a.npz").write_bytes(DAMAGED[case])
    with pytest.raises(GauntletError, match=r"a\.npz is no readable \.npz file"):
        source("npz", path="a.npz")


def test_a_missing_npz_is_told():
    with pytest.raises(GauntletError, match=r"path is 'a\.npz', but there is no"):
        source("npz", path="a.npz")


def test_the_stage_writes_what_the_readers_read(here):
    np.savez("a.npz", images=BYTES, labels=LABELS)
    outputs = [str(here / name) for name in ("images.npy", "labels.npy", "data.json")]
    download_data(*outputs, spec={"source": "npz", "path": "a.npz"})
    first = [Path(path).read_bytes() for path in outputs]
    download_data(*outputs, spec={"source": "npz", "path": "a.npz"})
    assert [Path(path).read_bytes() for path in outputs] == first
    assert json.loads((here / "data.json").read_text()) == {
        "canonical": None,
        "classes": ["0", "1", "2"],
        "files": [{"name": "a.npz", "sha256": hashlib.sha256(npz_bytes()).hexdigest()}],
        "max_value": 255,
        "n": 6,
        "shape": [3, 4, 5],
        "source": "npz",
    }
    assert np.array_equal(read_array(here / "images.npy"), BYTES.transpose(0, 3, 1, 2))
    assert np.array_equal(read_array(here / "labels.npy"), LABELS)


def test_damaged_arrays_are_refused(here):
    (here / "images.npy").write_bytes(b"\x80\x04]")
    with pytest.raises(GauntletError, match="images.npy is no readable"):
        read_array(here / "images.npy")


def test_no_source_imports_pytorch():
    code = (
        "import sys, pkgutil, gauntlet.data as d\n"
        "for m in pkgutil.iter_modules(d.__path__): __import__(f'gauntlet.data.{m.name}')\n"
        "print({'torch', 'sklearn', 'pandas', 'snakemake'} & set(sys.modules))"
    )
    environment = {"PYTHONPATH": str(LIBRARY)}
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "set()"
