"""Data sources on small files in the official layouts, whole and broken."""

import gzip
import hashlib
import importlib
import io
import os
import pickle
import subprocess
import sys
import tarfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from gauntlet.core.errors import GauntletError
from gauntlet.data._idx import NAMES, parse
from tests.helpers.places import LIBRARY
from tests.helpers.sources import DRAWS, source

pytestmark = pytest.mark.usefixtures("here")


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
