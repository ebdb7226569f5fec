"""Files: bytes that depend on content alone, and refusals that name the file."""

import os
import pickle

import numpy as np
import pytest
import torch

from gauntlet.core import records, tensor_io
from gauntlet.core.errors import GauntletError

STATE = {"a.weight": torch.arange(12.0).view(3, 4), "n": torch.tensor(7)}


class _Code:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_same_tensors_same_bytes_whatever_the_name_or_layout(tmp_path):
    variants = {
        "best.pt": STATE,
        "other_name_altogether.bin": {name: value.clone() for name, value in STATE.items()},
        "strided.pt": STATE | {"a.weight": STATE["a.weight"].t().contiguous().t()},
        "view.pt": STATE | {"a.weight": torch.arange(40.0)[:12].view(3, 4)},
        "grad.pt": STATE | {"a.weight": STATE["a.weight"].clone().requires_grad_()},
    }
    for name, state in variants.items():
        tensor_io.save_state(state, tmp_path / name)
    assert len({(tmp_path / name).read_bytes() for name in variants}) == 1
    tensor_io.save_state(STATE | {"n": torch.tensor(8)}, tmp_path / "changed.pt")
    assert (tmp_path / "changed.pt").read_bytes() != (tmp_path / "best.pt").read_bytes()
    loaded = tensor_io.load_state(tmp_path / "strided.pt")
    assert list(loaded) == list(STATE)
    assert all(torch.equal(loaded[name], value) for name, value in STATE.items())


def _bad_weights(kind, path):
    tensor_io.save_state(STATE, path)
    whole = path.read_bytes()
    trap = _Code(path.with_name("trap"))
    if kind in ("code", "code in a state"):
        torch.save(trap if kind == "code" else STATE | {"b": trap}, path)
    elif kind == "bare pickle":
        path.write_bytes(pickle.dumps(trap))
    elif kind in ("list", "number", "text inside"):
        made = {"list": [STATE["n"]], "number": 3, "text inside": {"a": "text"}}[kind]
        torch.save(made, path)
    else:
        half = whole[: len(whole) // 2]
        path.write_bytes({"half": half, "empty": b"", "web page": b"<html>\n404", "0": b"0"}[kind])


@pytest.mark.parametrize(
    "kind",
    ["code", "code in a state", "bare pickle", "half", "empty", "web page", "0"]
    + ["list", "number", "text inside"],
)
def test_weights_are_data_only(kind, tmp_path):
    path = tmp_path / "best.pt"
    _bad_weights(kind, path)
    with pytest.raises(GauntletError) as caught:
        tensor_io.load_state(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "trap").exists()


def _bad_array(kind, path):
    trap = _Code(path.with_name("trap"))
    if kind == "objects":
        np.save(path, np.array([trap], dtype=object), allow_pickle=True)
        return
    np.save(path, np.arange(1000.0))
    whole = path.read_bytes()
    made = {"pickle": pickle.dumps(trap), "half": whole[:4000], "empty": b"", "head": whole[:20]}
    path.write_bytes(made[kind])


@pytest.mark.parametrize("kind", ["objects", "pickle", "half", "head", "empty"])
def test_arrays_are_numbers_only(kind, tmp_path):
    path = tmp_path / "images.npy"
    _bad_array(kind, path)
    with pytest.raises(GauntletError) as caught:
        tensor_io.load_array(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "trap").exists()


@pytest.mark.parametrize("shape", [(3, 1, 2, 2), (0, 1, 2, 2)])
def test_arrays_come_back_read_only(shape, tmp_path):
    made = np.random.default_rng(0).random(shape, dtype=np.float32)
    np.save(tmp_path / "a.npy", made)
    loaded = tensor_io.load_array(tmp_path / "a.npy")
    assert loaded.dtype == np.float32 and np.array_equal(loaded, made)
    assert not loaded.flags.writeable


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", b"\xff\xfe\x00"], ids=repr)
def test_a_damaged_record_is_named(text, tmp_path):
    path = tmp_path / "meta.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(GauntletError, match="meta.json"):
        records.read_json(path)


def test_records_and_rows(tmp_path):
    for number, record in enumerate(({"b": 1, "a": "é"}, {"a": "é", "b": 1})):
        records.write_json(tmp_path / f"{number}.json", record)
    assert (tmp_path / "0.json").read_bytes() == (tmp_path / "1.json").read_bytes()
    assert records.read_json(tmp_path / "0.json") == {"a": "é", "b": 1}
    records.write_rows(tmp_path / "t.csv", ["y", "x"], [{"x": 0.1, "y": 1}, {"y": 2}])
    assert (tmp_path / "t.csv").read_bytes() == b"y,x\n1,0.1\n2,\n"
