"""Files of networks that are refused: damaged, of another kind, or asking for code to be run."""

import io
import json
import zipfile

import pytest
import torch

from gauntlet.core.errors import GauntletError
from gauntlet.models import build_model
from gauntlet.models.external import bundle
from gauntlet.stages.import_model import import_weights
from tests.helpers.network_files import CLASSES, IMAGES, SHAPE, conv_net, written
from tests.helpers.onnx_files import LAST, WEIGHT, onnx_file
from tests.helpers.pickles import Evil

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.jit is deprecated


def repacked(content: bytes, change) -> bytes:
    """Write a zip archive again: `change(name, content)` gives each member, or None."""
    old, buffer = zipfile.ZipFile(io.BytesIO(content)), io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in old.namelist():
            archive.writestr(name, change(name, old.read(name)))
        extra = change(None, b"")
        if extra:
            archive.writestr(*extra)
    return buffer.getvalue()


def in_graph(place):
    """Change an exported program's description."""

    def change(name, content):
        if name is None or not name.endswith("models/model.json"):
            return content
        record = json.loads(content)
        place(record)
        return json.dumps(record)

    return change


def calls_system(record):
    record["graph_module"]["graph"]["nodes"][0]["target"] = "torch.os.system"


def evaluates(record):
    values = record["graph_module"]["graph"]["tensor_values"].values()
    sizes = [size for value in values for size in value["sizes"]]
    next(s for s in sizes if "as_expr" in s)["as_expr"]["expr_str"] = "__import__('os').getcwd()"


def evil_sample(name, content):
    if name is None or not name.endswith("sample_inputs/model.pt"):
        return content
    buffer = io.BytesIO()
    torch.save(Evil(), buffer)
    return buffer.getvalue()


def pickled_weight(name, content):
    marked = content.replace(b'"use_pickle": false', b'"use_pickle": true', 1)
    return marked if name and name.endswith("weights_config.json") else content


def with_library(name, content):
    return ("archive/data/aotinductor/model/x.so", b"\x7fELF") if name is None else content


def unchanged(name, content):
    return content


def external_data() -> bytes:
    import onnx

    model = onnx.ModelProto.FromString(onnx_file([LAST], [WEIGHT]))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return model.SerializeToString()


def lying_tensor() -> bytes:
    import onnx

    model = onnx.ModelProto.FromString(onnx_file([LAST], [WEIGHT]))
    model.graph.initializer[0].dims[0] = 1 << 40
    return model.SerializeToString()


BAD = {
    "torchscript, noise": ("torchscript", lambda f: bytes(99), "damaged or no TorchScript file"),
    "torchscript, cut": ("torchscript", lambda f: f["torchscript"][:-900], "damaged"),
    "torchscript, a state dict": (
        "torchscript",
        lambda f: f["state"],
        "no TorchScript file.*as arch",
    ),
    "torchscript, a hole": (
        "torchscript",
        lambda f: repacked(f["torchscript"], lambda n, c: c if n is None else c[: len(c) // 2]),
        "cannot be read as TorchScript",
    ),
    "exported, noise": ("exported", lambda f: bytes(99), "damaged or no torch.export file"),
    "exported, cut": ("exported", lambda f: f["exported"][:-900], "no torch.export file"),
    "exported, torchscript": ("exported", lambda f: f["torchscript"], "no torch.export file"),
    "exported, system call": (
        "exported",
        lambda f: repacked(f["exported"], in_graph(calls_system)),
        "asks for code.*torch.os.system",
    ),
    "exported, evaluated text": (
        "exported",
        lambda f: repacked(f["exported"], in_graph(evaluates)),
        "asks for code.*__import__",
    ),
    "exported, sample": (
        "exported",
        lambda f: repacked(f["exported"], evil_sample),
        "asks for code.*a pickle in",
    ),
    "exported, weight": (
        "exported",
        lambda f: repacked(f["exported"], pickled_weight),
        "asks for code.*pickled tensor",
    ),
    "exported, library": (
        "exported",
        lambda f: repacked(f["exported"], with_library),
        "asks for code.*aotinductor",
    ),
    "onnx, noise": ("onnx", lambda f: b"\xff" * 99, "damaged or no ONNX file"),
    "onnx, empty": ("onnx", lambda f: b"", "is empty"),
    "onnx, cut": ("onnx", lambda f: f["onnx"][:-900], "damaged or no ONNX file"),
    "onnx, unknown operator": (
        "onnx",
        lambda f: onnx_file([("NonMaxSuppression", ["x"], ["h"], {"name": "their_layer"}), LAST]),
        "layer their_layer is NonMaxSuppression, which has no conversion.*gradients: false",
    ),
    "onnx, their operator": (
        "onnx",
        lambda f: onnx_file([("Swirl", ["x"], ["h"], {"domain": "their.ops"}), LAST]),
        "number 0 is Swirl of their.ops",
    ),
    "onnx, wrong shapes": (
        "onnx",
        lambda f: onnx_file([("Gemm", ["x", "w"], ["y"])], [("w", torch.zeros(4, 4))]),
        "number 0 .Gemm. cannot be computed",
    ),
    "onnx, nothing before": (
        "onnx",
        lambda f: onnx_file([("Add", ["x", "z"], ["y"])]),
        "takes z, which nothing before it gives",
    ),
    "onnx, other file": ("onnx", lambda f: external_data(), "lies in another file"),
    "onnx, lying tensor": ("onnx", lambda f: lying_tensor(), "tensor w says it has .1099511627776"),
    "onnx, giant": (
        "onnx",
        lambda f: onnx_file(
            [("ConstantOfShape", ["s"], ["c"]), ("Add", ["x", "c"], ["h"]), LAST],
            [("s", torch.tensor([1 << 20, 1 << 20]))],
        ),
        "asks for 1099511627776 values",
    ),
    "onnx, constant": (
        "onnx",
        lambda f: onnx_file([("Relu", ["c"], ["y"])], [("c", torch.ones(1, 5))]),
        "output does not depend on its input",
    ),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder, net = tmp_path_factory.mktemp("files"), conv_net().eval()
    made = {kind: written(kind, net, folder, True) for kind in ("torchscript", "exported", "onnx")}
    buffer = io.BytesIO()
    torch.save(net.state_dict(), buffer)
    return made | {"state": buffer.getvalue()}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_refused_in_one_sentence(case, files, tmp_path, capfd):
    arch, make, says = BAD[case]
    path = tmp_path / "net.bin"
    path.write_bytes(make(files))
    spec = {"model": {"arch": arch}, "name": "net.bin", "sha256": None, "seed": 0}
    with pytest.raises(GauntletError, match=says) as caught:
        import_weights(spec, SHAPE, CLASSES, str(path))
    sentence = str(caught.value)
    assert sentence.startswith(str(path)) and sentence.endswith(".") and "\n" not in sentence
    assert len(sentence) < 1200 and "code was run" not in capfd.readouterr().out


def test_the_archive_as_written_passes(files):
    same = repacked(files["exported"], unchanged)
    assert build_model({"arch": "exported"}, SHAPE, CLASSES, 0, same)(IMAGES).shape == (11, CLASSES)


@pytest.mark.parametrize("kind", ["torchscript", "exported", "onnx"])
def test_images_of_another_shape_are_told(kind, files):
    with pytest.raises(GauntletError, match="cannot be|input_size"):
        build_model({"arch": kind}, (1, 5, 5), CLASSES, 0, files[kind])


def test_what_is_kept_is_the_file_and_damage_is_found(files):
    state = bundle.pack(files["onnx"])
    assert bundle.unpack(state, "best.pt") == files["onnx"]
    assert bundle.unpack({"x": torch.ones(1)}, "best.pt") is None
    state["artefact"][100] += 1
    with pytest.raises(GauntletError, match="best.pt is damaged"):
        bundle.unpack(state, "best.pt")
