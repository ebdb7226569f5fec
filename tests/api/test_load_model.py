"""`gauntlet.load_model`: every form of file, and what is refused."""

import json
import logging

import pytest
import torch
from torch import nn

import gauntlet
from gauntlet.core import tensor_io
from gauntlet.core.errors import GauntletError
from gauntlet.models import build_model
from gauntlet.models.external import exporting
from tests.helpers import plain_models

SHAPE, CLASSES = (1, 8, 8), 10
IMAGES = plain_models.test_part(5)[0]
WHERE = {"shape": SHAPE, "classes": CLASSES}
LAYERS = [
    {"layer": "conv2d", "channels": 8, "kernel": 3, "padding": 1},
    *({"layer": "relu"}, {"layer": "max_pool2d", "kernel": 2}, {"layer": "flatten"}),
    {"layer": "linear", "features": 10},
]


DECLARED = {"arch": "declared", "layers": LAYERS} | WHERE


def same_shape():
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(128, 10)),
    )


def answers(model):
    with torch.no_grad():
        return model(IMAGES)


@pytest.fixture
def weights(tmp_path):
    """The state dict of a small network."""
    path = tmp_path / "weights.pt"
    torch.save({"state_dict": plain_models.network().state_dict(), "epoch": 3}, path)
    return path


@pytest.mark.parametrize(
    "ask",
    [
        {"network": same_shape},
        {"network": same_shape()},
        {"arch": "declared", "layers": LAYERS} | WHERE,
    ],
    ids=["function", "module", "declared"],
)
def test_a_state_dict(weights, ask):
    model = gauntlet.load_model(weights, **ask)
    assert torch.equal(answers(model), answers(plain_models.network())) and not model.training


def test_a_normalization_is_folded_in(weights):
    ask = {"arch": "declared", "layers": LAYERS, "mean": 0.25, "std": [0.5]} | WHERE
    model = gauntlet.load_model(weights, **ask)
    with torch.no_grad():
        wanted = plain_models.network()((IMAGES - 0.25) / 0.5)
    assert torch.allclose(answers(model), wanted, atol=1e-5)


FORMS = {
    "torchscript.pt": exporting.save_torchscript,
    "program.pt2": exporting.save_exported,
    "model.onnx": exporting.save_onnx,
}


@pytest.mark.parametrize("name", FORMS)
def test_network_and_weights_at_once(tmp_path, name):
    FORMS[name](plain_models.network(), SHAPE, str(tmp_path / name))
    model = gauntlet.load_model(str(tmp_path / name), **WHERE)
    assert torch.allclose(answers(model), answers(plain_models.network()), atol=1e-5)
    images, labels = plain_models.test_part(8)
    result = gauntlet.attack(model, images, labels, eps=0.1, attack="pgd", steps=3)
    assert int(result.backwards.sum()) > 0


@pytest.fixture
def checkpoint(tmp_path):
    """A checkpoint as the workflow leaves it, with the records beside it."""
    settings = {"arch": "mlp", "hidden": [8]}
    folder = tmp_path / "results" / "runs" / "digits" / "mlp" / "plain" / "seed0"
    data = tmp_path / "results" / "data" / "digits" / "data.json"
    folder.mkdir(parents=True)
    data.parent.mkdir(parents=True)
    data.write_text(json.dumps({"shape": list(SHAPE), "classes": list("0123456789")}))
    model = build_model(settings, SHAPE, CLASSES, 3)
    tensor_io.save_state(model.state_dict(), folder / "best.pt")
    record = {
        "spec": {"model": settings},
        "outputs": {"results/runs/digits/mlp/plain/seed0/best.pt": "0"},
        "inputs": {"results/data/digits/data.json": "0"},
    }
    (folder / "train.provenance.json").write_text(json.dumps(record))
    return folder / "best.pt", model


def test_a_checkpoint_of_the_workflow(checkpoint):
    path, model = checkpoint
    assert torch.equal(answers(gauntlet.load_model(path)), answers(model.eval()))


def with_record(checkpoint, **changed):
    path, _ = checkpoint
    place = path.with_name("train.provenance.json")
    place.write_text(json.dumps(json.loads(place.read_text()) | changed))
    return path


def test_a_record_that_names_code_runs_none(checkpoint, tmp_path):
    call = {"arch": "factory", "factory": "os:mkdir", "arguments": {"path": str(tmp_path / "x")}}
    path = with_record(checkpoint, spec={"model": call})
    with pytest.raises(GauntletError, match="asks to call 'os:mkdir', which is code"):
        gauntlet.load_model(path)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "changed",
    [
        *({"spec": None}, {"spec": {"model": "mlp"}}, {"outputs": 5}, {"inputs": ["data.json"]}),
        {"spec": {"model": {"arch": "mlp"}}},
    ],
    ids=str,
)
def test_a_record_that_is_none_is_one_sentence(checkpoint, changed):
    with pytest.raises(GauntletError, match="name its architecture by arch"):
        gauntlet.load_model(with_record(checkpoint, **changed))


REFUSED = {
    "no file": ("none.pt", {}, "path is .*none.pt', but there is no such file"),
    "no architecture": ("weights.pt", {}, "name its architecture by arch, or give a module"),
    "network": ("weights.pt", {"network": 5}, "network is a int; allowed is a torch.nn.Module"),
    "device": ("weights.pt", {"network": same_shape, "device": "x"}, "device is 'x'; allowed is"),
    "no shape": ("weights.pt", {"arch": "mlp"}, "shape is missing.*read as mlp"),
    "no classes": ("weights.pt", {"arch": "mlp", "shape": SHAPE}, "classes is missing"),
    "arch": ("weights.pt", {"arch": "vit"} | WHERE, "arch is 'vit'; allowed is one of"),
    "other layers": ("weights.pt", {"arch": "mlp"} | WHERE, "is of another architecture"),
    "setting": ("weights.pt", {"arch": "mlp", "widht": 3} | WHERE, "widht is no known key"),
    "shape": (
        "weights.pt",
        {"arch": "mlp", "shape": 8, "classes": 10},
        r"shape is 8; allowed is \(C",
    ),
    "classes": (
        "weights.pt",
        {"arch": "mlp", "shape": SHAPE, "classes": 1},
        "classes is 1; allowed",
    ),
    "network and arch": ("weights.pt", {"network": same_shape, "arch": "mlp"}, "beside network"),
    "no module": ("weights.pt", {"network": lambda: 3}, "network gives a int; allowed is"),
    "checksum": ("weights.pt", {"network": same_shape, "sha256": "0" * 64}, "has sha256"),
    "code": ("code.pt", {"network": same_shape}, "asks for code to be run"),
}


class Code:
    def __reduce__(self):
        return print, ("code was run",)


@pytest.mark.parametrize("case", REFUSED)
def test_refused(weights, case, capsys):
    name, ask, pattern = REFUSED[case]
    torch.save(Code(), weights.with_name("code.pt"))
    with pytest.raises(ValueError, match=pattern):
        gauntlet.load_model(weights.with_name(name), **ask)
    assert "code was run" not in capsys.readouterr().out


def test_a_part_of_several_and_what_is_left_aside_are_told(tmp_path, caplog):
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    state = {f"1.{name}": value for name, value in net.state_dict().items()}
    state |= {"0.mean": torch.zeros(1), "0.std": torch.ones(1)}
    torch.save([{}, {"model": state}], tmp_path / "w.pt")
    other = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with caplog.at_level(logging.WARNING, "gauntlet"):
        found = gauntlet.load_model(tmp_path / "w.pt", network=other, weights_key="1")
    assert torch.equal(found[1].weight, net[1].weight)
    assert "left aside, not in the architecture: 0.mean, 0.std" in caplog.text
    with pytest.raises(ValueError, match="holds a list of 2"):
        gauntlet.load_model(tmp_path / "w.pt", network=other)
