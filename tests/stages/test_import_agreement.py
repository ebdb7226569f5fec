"""A network that was rebuilt from a file is held against the file's own engine."""

import pytest
import torch

from gauntlet.core.errors import GauntletError
from gauntlet.models import _onnx_ops
from gauntlet.stages import import_agreement
from gauntlet.stages.import_model import import_weights
from gauntlet.stages.import_record import report
from tests.helpers import tiny
from tests.helpers.onnx_files import onnx_file

PART = tiny.part(60)
NODES = [
    ("Conv", ["x", "c"], ["h0"], {"kernel_shape": [3, 3]}),
    ("Selu", ["h0"], ["h1"], {"alpha": 2.0, "name": "their_selu"}),
    ("Flatten", ["h1"], ["f"]),
    ("Gemm", ["f", "w"], ["y"], {"transB": 1}),
]
DRAWN = torch.Generator().manual_seed(0)
HELD = [("c", torch.randn(2, 1, 3, 3, generator=DRAWN))]
HELD += [("w", torch.randn(2, 72, generator=DRAWN))]


@pytest.fixture
def path(tmp_path):
    place = tmp_path / "net.onnx"
    place.write_bytes(onnx_file(NODES, HELD, ("n", *tiny.SHAPE)))
    return str(place)


def spec(**settings):
    model = {"arch": "onnx"} | settings
    own = {"name": "net.onnx", "sha256": None, "seed": 0, "batch": 32, "model": model}
    return own | {"expected_clean_accuracy": None}


def wrong_selu(settings, opset, node):
    settings.get("alpha")
    return torch.nn.functional.selu


def test_the_record_says_how_well_it_agrees_on_random_and_on_real_images(path):
    given = import_weights(spec(mean=0.5, std=0.25), tiny.SHAPE, 2, path)
    model = given.rebuild(spec(mean=0.5, std=0.25)["model"])
    record = report(spec(mean=0.5, std=0.25), given, model, PART.images, PART.labels, 2)
    said = [note for note in record["notes"] if "agree with ONNX Runtime's to" in note]
    assert ["random images" in said[0], "validation images" in said[1]] == [True, True]


@pytest.mark.parametrize("settings", [{}, {"mean": 0.5, "input_size": [8, 8]}])
def test_a_wrong_conversion_is_refused_with_the_step_that_differs(path, monkeypatch, settings):
    monkeypatch.setitem(_onnx_ops.OPERATIONS, "Selu", wrong_selu)
    with pytest.raises(GauntletError, match=r"net.onnx cannot be used.*differ.*their_selu.*false"):
        import_weights(spec(**settings), tiny.SHAPE, 2, path)
    assert import_weights(spec(gradients=False), tiny.SHAPE, 2, path).reference is None


def test_real_images_show_what_random_ones_do_not(path, monkeypatch):
    monkeypatch.setitem(_onnx_ops.OPERATIONS, "Selu", wrong_selu)
    monkeypatch.setattr(import_agreement, "TOLERANCE", 1e9)
    given = import_weights(spec(), tiny.SHAPE, 2, path)
    model = given.rebuild(spec()["model"])
    monkeypatch.undo()
    with pytest.raises(GauntletError, match="net.onnx cannot be used.*32 validation images"):
        report(spec(), given, model, PART.images, PART.labels, 2)


def test_a_file_that_onnx_runtime_cannot_run_is_told(path, monkeypatch):
    def fails(*arguments):
        raise GauntletError("ONNX Runtime cannot run it (no kernel).")

    monkeypatch.setattr(import_agreement, "reference_of", fails)
    given = import_weights(spec(), tiny.SHAPE, 2, path)
    record = report(spec(), given, given.rebuild(spec()["model"]), PART.images, PART.labels, 2)
    assert "not compared with ONNX Runtime's: ONNX Runtime cannot run it" in record["warnings"][0]
