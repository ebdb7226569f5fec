"""Weights as they are found: what is taken, how, and what is refused in one sentence."""

import io
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import nn

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import sha256
from gauntlet.models import build_model
from gauntlet.models.external import archives
from gauntlet.stages.import_model import import_weights
from tests.helpers import tiny

NET = {"arch": "preact_resnet18", "width": 2}
IMAGES = torch.rand(4, *tiny.SHAPE, generator=torch.Generator().manual_seed(0))


def spec(path="w.pt", **changes):
    """What an import job is told of a small network of ours."""
    model = NET | changes
    return {"model": model, "name": Path(path).name, "sha256": None, "seed": 0}


@pytest.fixture(scope="module")
def trained():
    """A model of ours whose running statistics are not those of a fresh one."""
    model = build_model(NET, tiny.SHAPE, 2, 7)
    model.normalize_like(torch.rand(20, *tiny.SHAPE))
    model(torch.rand(20, *tiny.SHAPE))
    return model.eval()


def take(content, tmp_path, name="w.pt", **changes):
    """Save with PyTorch, or write bytes; import; give the model that comes of it and the notes."""
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    given = import_weights(spec(name, **changes), tiny.SHAPE, 2, str(path))
    model = build_model(NET | changes, tiny.SHAPE, 2, 0).eval()
    model.load_state_dict(given.state)
    return model, given.notes


def prefixed(state, start):
    return {start + name: value for name, value in state.items()}


def safetensors(state) -> bytes:
    return save({name: value.contiguous() for name, value in state.items()})


def renamed(state):
    return {f"layer{i}.{name.rpartition('.')[2]}": v for i, (name, v) in enumerate(state.items())}


def uncounted(state):
    return {name: value for name, value in state.items() if not name.endswith("tracked")}


WILD = {
    "plain": (lambda s: s, []),
    "ordered": (OrderedDict, []),
    "under state_dict": (lambda s: {"state_dict": s, "epoch": 3}, ["under 'state_dict'"]),
    "under model": (lambda s: {"model": s, "optimizer": {"lr": 0.1}}, ["under 'model'"]),
    "under net": (lambda s: {"net": s, "acc": 91.0}, ["under 'net'"]),
    "under model_state_dict": (lambda s: {"model_state_dict": s}, ["'model_state_dict'"]),
    "under a name of their own": (lambda s: {"ema_weights": s}, ["under 'ema_weights'"]),
    "in a list": (lambda s: [s], ["one item of a list"]),
    "in a list, nested": (lambda s: [{"net": s}], ["one item of a list", "under 'net'"]),
    "parallel": (lambda s: prefixed(s, "module."), ["'module.' before every name"]),
    "compiled": (lambda s: prefixed(s, "_orig_mod."), ["'_orig_mod.' before every name"]),
    "parallel and compiled": (lambda s: prefixed(s, "_orig_mod.module."), ["'_orig_mod.'"]),
    "inside another module": (lambda s: prefixed(s, "backbone.body."), ["'backbone.body.'"]),
    "parallel under state_dict": (
        lambda s: {"state_dict": prefixed(s, "module.")},
        ["under 'state_dict'", "'module.'"],
    ),
    "other names": (renamed, ["names differ, shapes match one to one in order", "layer0.weight"]),
    "without counters": (uncounted, []),
    "with an epoch among them": (
        lambda s: s | {"epoch": 3},
        ["ignored, because they are not tensors"],
    ),
    "with a tensor more": (lambda s: s | {"ema": torch.ones(2)}, ["not in the architecture: ema"]),
    "in float64": (lambda s: {n: v.double() if v.ndim else v for n, v in s.items()}, []),
    "parameters": (lambda s: {n: nn.Parameter(v, False) for n, v in s.items()}, []),
}


@pytest.mark.parametrize("form", WILD)
def test_a_state_dict_as_it_is_found_gives_the_same_network(form, trained, tmp_path):
    wrap, message = WILD[form]
    model, notes = take(wrap(trained.network.state_dict()), tmp_path)
    model.mean, model.std = trained.mean, trained.std
    assert torch.equal(model(IMAGES), trained(IMAGES))
    assert all(any(part in note for note in notes) for part in message), notes
    assert bool(notes) == bool(message)


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16])
def test_safetensors_of_other_precisions_are_converted(kind, trained, tmp_path):
    own = trained.network.state_dict()
    state = {name: v.to(kind) if v.is_floating_point() else v for name, v in own.items()}
    model, _ = take(safetensors(state), tmp_path)
    for name, value in model.network.state_dict().items():
        assert value.dtype == own[name].dtype
        if value.is_floating_point():
            assert torch.equal(value, state[name].to(value.dtype))


@pytest.mark.parametrize("form", ["legacy", "safetensors"])
def test_other_formats(form, trained, tmp_path):
    state = trained.network.state_dict()
    if form == "legacy":
        buffer = io.BytesIO()
        torch.save(state, buffer, _use_new_zipfile_serialization=False)
        content = buffer.getvalue()
    else:
        content = safetensors(state)
    model, _ = take(content, tmp_path)
    model.mean, model.std = trained.mean, trained.std
    assert torch.equal(model(IMAGES), trained(IMAGES))


def test_a_file_of_ours_brings_its_normalisation_unless_another_is_set(trained, tmp_path):
    model, notes = take(trained.state_dict(), tmp_path)
    assert torch.equal(model(IMAGES), trained(IMAGES)) and "normalization" in notes[0]
    model, _ = take(trained.state_dict(), tmp_path, mean=0.25)
    assert model.mean.unique().tolist() == [0.25] and torch.equal(model.std, trained.std)


SETTINGS = {
    "range": {"input_range": [0, 255], "mean": [100.0, 110.0, 120.0], "std": [50.0, 60.0, 70.0]},
    "one number": {"input_range": [-1, 1], "mean": 0.5, "std": 2},
    "bgr": {"channel_order": "bgr", "mean": [0.1, 0.2, 0.3], "std": [1.0, 2.0, 3.0]},
    "all": {"input_range": [0, 255], "channel_order": "bgr", "mean": [1.0, 2.0, 3.0]}
    | {"input_size": [12, 10]},
}


@pytest.mark.parametrize("case", SETTINGS)
def test_input_settings_mean_what_they_say(case):
    settings = SETTINGS[case]
    model = build_model({"arch": "mlp", "hidden": [4]} | settings, (3, 8, 8), 5, 0)
    images = torch.rand(2, 3, 8, 8)
    seen = images.flip(1) if settings.get("channel_order") == "bgr" else images
    if "input_size" in settings:
        seen = nn.functional.interpolate(seen, settings["input_size"], mode="bilinear")
    low, high = settings.get("input_range", [0, 1])
    seen = low + seen * (high - low)
    mean, std = (
        torch.tensor(settings.get(key, default)).float().reshape(1, -1, 1, 1)
        for key, default in (("mean", 0.0), ("std", 1.0))
    )
    network = model.network if len(settings) == 3 and case != "bgr" else model.network[-1]
    torch.testing.assert_close(model(images), network((seen - mean) / std), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "says"),
    [({"mean": [0.1, 0.2]}, "mean has 2 values.*1 channels"), ({"channel_order": "bgr"}, "bgr")],
)
def test_input_settings_that_do_not_fit_the_images_are_told(settings, says):
    with pytest.raises(GauntletError, match=says):
        build_model(NET | settings, tiny.SHAPE, 2, 0)


# Files that are refused


class Evil:
    """A pickle that wants to run something."""

    def __reduce__(self):
        return (print, ("code was run",))


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
