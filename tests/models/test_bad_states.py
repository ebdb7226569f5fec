"""Files of weights that are refused in one sentence."""

import io
import pickle
import zipfile

import pytest
import torch
from torch import nn

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import sha256
from gauntlet.models.external import archives
from gauntlet.stages.import_model import import_weights
from tests.helpers import tiny
from tests.helpers.pickles import Evil
from tests.helpers.state_files import IMAGES, prefixed, renamed, safetensors, spec, take


def bomb() -> bytes:
    """A small archive that says it unpacks to half a gigabyte."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(8):
            archive.writestr(f"w/data/{number}", bytes(1 << 26))
    return buffer.getvalue()


def saved(content, **how) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **how)
    return buffer.getvalue()


def short_storage(state) -> bytes:
    """An archive in which one tensor's numbers are fewer than its description says."""
    content, buffer = zipfile.ZipFile(io.BytesIO(saved(state))), io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in content.namelist():
            whole = content.read(name)
            archive.writestr(name, whole[:4] if name.endswith("data/0") else whole)
    return buffer.getvalue()


def spoiled(state, value):
    weights = state["0.weight"].clone()
    weights[1, 0, 0, 0] = value
    return state | {"0.weight": weights}


def misplaced(state) -> bytes:
    """A header whose first tensor begins later than its size allows."""
    return safetensors(state).replace(b'"data_offsets":[0,', b'"data_offsets":[9,', 1)


BAD = {
    "empty": (lambda s: b"", ["is empty"]),
    "noise": (lambda s: bytes(range(256)) * 8, ["truncated, damaged or no file of weights"]),
    "text": (lambda s: b"<html>not found</html>", ["truncated, damaged or no file of weights"]),
    "truncated": (lambda s: saved(s)[:-5000], ["is truncated or damaged", "whole file again"]),
    "truncated legacy": (
        lambda s: saved(s, _use_new_zipfile_serialization=False)[:-5000],
        ["truncated, damaged"],
    ),
    "a storage that lies": (lambda s: short_storage(s), ["damaged"]),
    "a middle gone": (lambda s: saved(s)[:2000] + saved(s)[9000:], ["damaged"]),
    "code": (lambda s: {"state_dict": s, "x": Evil()}, ["asks for code", "print", "state_dict()"]),
    "bare pickle of code": (
        lambda s: pickle.dumps(Evil()),
        ["is a plain pickle", "save the weights alone"],
    ),
    "a whole module": (lambda s: nn.Linear(2, 2), ["asks for code", "Linear", "weights alone"]),
    "bomb": (lambda s: bomb(), ["would unpack to 536870912", "the architecture's weights have"]),
    "much too large": (lambda s: {"x": torch.zeros(1 << 25)}, ["bytes", "at most"]),
    "a number": (lambda s: 3, ["holds int", "names with tensors"]),
    "no tensors": (
        lambda s: {"epoch": 3, "lr": 0.1},
        ["a mapping with 'epoch' (int), 'lr' (float)"],
    ),
    "two in a list": (
        lambda s: [s, s, 3],
        ["holds a list of 3: 0 (a state dict of 107 tensors), 1 (", "weights_key, such as 0."],
    ),
    "two networks in one state dict": (
        lambda s: prefixed(s, "student.") | prefixed(s, "teacher."),
        ["several networks that fit, under student, teacher;", "weights_key: student."],
    ),
    "nested without end": (lambda s: [[[[[[[[[[s]]]]]]]]]], ["holds a list of 1: 0 (list)"]),
    "sparse": (
        lambda s: s | {"0.weight": s["0.weight"].to_sparse()},
        ["'0.weight' as a tensor that is sparse"],
    ),
    "sparse rows": (
        lambda s: s | {"13.weight": s["13.weight"].to_sparse_csr()},
        ["'13.weight' as a tensor that is sparse"],
    ),
    "without values": (
        lambda s: s | {"0.weight": s["0.weight"].to("meta")},
        ["'0.weight' as a tensor that is without values"],
    ),
    "nested tensors": (
        lambda s: s | {"13.bias": torch.nested.nested_tensor([torch.ones(1), torch.ones(1)])},
        ["'13.bias'"],
    ),
    "NaN": (lambda s: spoiled(s, torch.nan), ["1 values that are no finite", "of '0.weight'"]),
    "infinite": (lambda s: spoiled(s, torch.inf), ["no finite numbers", "'0.weight'"]),
    "overflows float32": (
        lambda s: {n: v.double() * 1e300 if n == "0.weight" else v for n, v in s.items()},
        ["no finite numbers", "'0.weight'"],
    ),
    "another shape": (
        lambda s: s | {"0.weight": torch.zeros(4, 1, 3, 3)},
        ["another architecture", "'0.weight' has shape [4, 1, 3, 3]", "has [2, 1, 3, 3]"],
    ),
    "another architecture": (
        lambda s: {"fc.weight": torch.zeros(2, 64), "fc.bias": torch.zeros(2)},
        ["another architecture", "'0.weight' [2, 1, 3, 3]", "'fc.weight' [2, 64]", "against 2"],
    ),
    "a layer short": (
        lambda s: dict(list(s.items())[:-2]),
        ["another architecture", "'13.weight' [2, 16]", "has nothing more"],
    ),
    "weight and bias exchanged": (
        lambda s: {
            name.replace("weight", "X").replace("bias", "weight").replace("X", "bias"): value
            for name, value in renamed(s).items()
        },
        ["another architecture"],
    ),
    "whole numbers": (
        lambda s: s | {"0.weight": torch.ones(2, 1, 3, 3, dtype=torch.int8)},
        ["'0.weight' as torch.int8", "floating-point"],
    ),
    "safetensors, truncated": (lambda s: safetensors(s)[:-100], ["damaged .safetensors"]),
    "safetensors, offsets": (misplaced, ["damaged .safetensors"]),
    "safetensors, unknown type": (
        lambda s: safetensors(s).replace(b'"F32"', b'"F31"', 1),
        ["damaged .safetensors"],
    ),
    "safetensors, more data": (lambda s: safetensors(s) + b"0000", ["damaged .safetensors"]),
    "torchscript": (
        lambda s: torch.jit.trace(nn.Flatten(), IMAGES).save_to_buffer(),
        ["is a TorchScript file", "arch: torchscript"],
    ),
}


@pytest.mark.filterwarnings("ignore")  # of torch.jit, and of pickles
@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_refused_in_one_sentence(case, trained, tmp_path, capsys):
    make, message = BAD[case]
    with pytest.raises(GauntletError) as caught:
        take(make(trained.network.state_dict()), tmp_path)
    sentence = str(caught.value)
    assert sentence.startswith(str(tmp_path / "w.pt")) and sentence.endswith(".")
    assert all(part in sentence for part in message), sentence
    assert "\n" not in sentence and len(sentence) < 600
    assert "code was run" not in capsys.readouterr().out


def test_a_checksum_is_checked_before_anything_else(trained, tmp_path):
    path = tmp_path / "w.pt"
    torch.save(trained.network.state_dict(), path)
    given = import_weights(spec() | {"sha256": sha256(path)}, tiny.SHAPE, 2, str(path))
    assert given.sha256 == sha256(path)
    with pytest.raises(GauntletError, match="has sha256 .*, not 0000"):
        import_weights(spec() | {"sha256": "0" * 64}, tiny.SHAPE, 2, str(path))


def test_sizes_are_bounded_by_the_directory_alone(tmp_path):
    path = tmp_path / "bomb.pt"
    path.write_bytes(bomb())
    assert path.stat().st_size < 1 << 20
    archives.require_sizes(str(path))  # of unknown architecture: half a gigabyte may be
    with pytest.raises(GauntletError, match="would unpack"):
        archives.require_sizes(str(path), 1000)
