"""Arrays as a data source: brought into one shape, and refused where they are damaged."""

import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from download_data import download_data
from gauntlet.core.errors import GauntletError
from gauntlet.data import read_array
from tests.helpers.sources import DRAWS, source

pytestmark = pytest.mark.usefixtures("here")


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
