"""Networks from outside: declared, from a factory, TorchScript, torch.export and ONNX."""

import io
import json
import logging
import textwrap
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.errors import GauntletError
from gauntlet.models import build_model, evaluating
from gauntlet.models.declared import MAKERS
from gauntlet.models.external import bundle, exporting
from gauntlet.models.preact_resnet18 import preact_resnet18
from gauntlet.stages.import_model import import_weights
from gauntlet.stages.import_record import report
from tests.helpers import tiny
from tests.helpers.onnx_files import onnx_file

SHAPE, CLASSES = (3, 8, 8), 5
IMAGES = torch.rand(11, *SHAPE, generator=torch.Generator().manual_seed(0))

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.jit is deprecated


# Declared layers

BODY = [
    {"layer": "conv2d", "channels": 4, "kernel": [3, 3], "stride": 1, "padding": 1}
    | {"dilation": 1, "groups": 1, "bias": False},
    {"layer": "batch_norm2d", "epsilon": 1e-3},
]
SIDE = [
    {"layer": "conv2d", "channels": 4, "kernel": 1, "stride": 1, "padding": 0}
    | {"dilation": 1, "groups": 1, "bias": True}
]
HEAD = [{"layer": "flatten"}, {"layer": "linear", "features": CLASSES, "bias": True}]
POOL = {"kernel": 3, "stride": 2, "padding": 1}


def test_declared_layers_compute_what_pytorchs_do():
    residual = {"layer": "residual", "layers": BODY, "shortcut": SIDE}
    plain = {"layer": "residual", "layers": [{"layer": "tanh"}], "shortcut": []}
    layers = [residual, plain, {"layer": "max_pool2d", **POOL}, {"layer": "avg_pool2d", **POOL}]
    layers += [{"layer": "elu", "alpha": 0.5}, {"layer": "leaky_relu", "slope": 0.2}]
    layers += [{"layer": "dropout", "rate": 0.5}, {"layer": "adaptive_avg_pool2d", "size": [2, 1]}]
    layers += [{"layer": name} for name in ("relu", "gelu", "silu", "sigmoid", "softplus")] + HEAD
    network = build_model({"arch": "declared", "layers": layers}, SHAPE, CLASSES, 0).network.eval()
    assert {layer["layer"] for layer in [*layers, *BODY, *plain["layers"]]} == MAKERS.keys()

    block, act = network[0], nn.functional
    conv, norm = block.body
    x = norm(act.conv2d(IMAGES, conv.weight, padding=1)) + block.shortcut[0](IMAGES)
    assert norm.eps == 1e-3 and conv.bias is None
    x = act.avg_pool2d(act.max_pool2d(x + x.tanh(), 3, 2, 1), 3, 2, 1)
    x = act.adaptive_avg_pool2d(act.leaky_relu(act.elu(x, 0.5), 0.2), (2, 1))
    x = act.softplus(act.silu(act.gelu(x.relu())).sigmoid()).flatten(1)
    torch.testing.assert_close(network(IMAGES), network[-1](x))


def test_declared_layers_are_checked_at_the_jobs_beginning_too():
    with pytest.raises(GauntletError, match=r"layers\[0\] \(linear\).*3x8x8.*flatten first"):
        build_model({"arch": "declared", "layers": HEAD[1:]}, SHAPE, CLASSES, 0)
    with pytest.raises(GauntletError, match="5 values.*7 classes"):
        build_model({"arch": "declared", "layers": HEAD}, SHAPE, 7, 0)


# Factories

FACTORY = """
    import sys
    from torch import nn

    def net(width=4, fail=None):
        if fail:
            raise KeyError(fail)
        return nn.Sequential(nn.Flatten(), nn.Linear(192, width), nn.ReLU(), nn.Linear(width, 5))

    def wide(): return nn.Flatten()
    def text(): return "net"
    def leaves(): sys.exit(3)
    def small(): return nn.Conv2d(1, 2, 3)
    value = 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "their_nets.py").write_text(textwrap.dedent(FACTORY))
    (tmp_path / "their_broken.py").write_text("import nothing_of_that_name\n")
    (tmp_path / "their_syntax.py").write_text("def net(:\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_factory_gives_the_network(folder):
    settings = {"arch": "factory", "factory": "their_nets:net", "arguments": {"width": 7}}
    model = build_model(settings | {"source": "abc"}, SHAPE, CLASSES, 0)
    assert model(IMAGES).shape == (11, 5) and model.network[1].out_features == 7
    again = build_model(settings, SHAPE, CLASSES, 0)
    assert torch.equal(model(IMAGES), again(IMAGES))


@pytest.mark.parametrize(
    ("factory", "arguments", "says"),
    [
        ("their_nets:net", {"fail": "x"}, "raised KeyError: 'x' .their_nets.py, line 7"),
        ("their_nets:net", {"depth": 3}, "raised TypeError: .*depth"),
        ("their_nets:leaves", {}, "raised SystemExit: 3"),
        ("their_nets:none", {}, "does not exist: their_nets has no such function"),
        ("their_nets:value", {}, "no such function"),
        ("their_nowhere:net", {}, "cannot be imported: ModuleNotFoundError.*their_nowhere"),
        (
            "their_broken:net",
            {},
            "cannot be imported.*nothing_of_that.*their_broken.py, line 1",
        ),
        ("their_syntax:net", {}, "cannot be imported: SyntaxError"),
        ("their_nets:text", {}, "gave a str; allowed is a torch.nn.Module"),
        ("their_nets:wide", {}, r"is \[2, 192\]; it must be \[2, 5\]"),
        ("their_nets:small", {}, "cannot take images of .3, 8, 8.: RuntimeError"),
    ],
)
def test_what_goes_wrong_in_a_factory_is_one_sentence(folder, factory, arguments, says):
    settings = {"arch": "factory", "factory": factory, "arguments": arguments}
    with pytest.raises(GauntletError, match=f"The factory {factory} {says}|{says}") as caught:
        build_model(settings, SHAPE, CLASSES, 0)
    assert "\n" not in str(caught.value) and str(caught.value).startswith("The factory")


# Files that are network and weights at once


def conv_net():
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64, CLASSES),
    )  # fmt: skip


class Fixed(nn.Module):
    """A network that takes two images at a time and no other number."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(192, CLASSES)

    def forward(self, x):
        return self.linear(nn.functional.gelu(x).view(2, 192))


class Mixed(nn.Module):
    """What classifiers use besides plain layers."""

    def __init__(self):
        super().__init__()
        self.conv, self.depth = nn.Conv2d(3, 6, 3, 2, 1), nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.norm, self.linear = nn.LayerNorm(6), nn.Linear(6, CLASSES)
        self.slope, self.act = nn.PReLU(6), nn.Hardswish()

    def forward(self, x):
        x = self.slope(self.conv(x).clamp(-1, 1))
        first, last = (self.depth(x) + x).chunk(2, 1)
        x = torch.cat([last, nn.functional.pad(first, (1, 1))[..., 1:-1]], 1)
        x = self.norm(self.act(x).permute(0, 2, 3, 1)).mean((1, 2))
        return self.linear(x.reshape(x.size(0), -1)).log_softmax(1)


NETS = {
    "plain": conv_net,
    "residual": lambda: preact_resnet18(SHAPE, CLASSES, width=2),
    "mixed": Mixed,
    "fixed": Fixed,
}


def written(kind: str, net: nn.Module, folder: Path, dynamic: bool) -> bytes:
    """Export a network as torch users do; give the file's content."""
    path, example = folder / "net", torch.zeros(2, *SHAPE)
    if kind == "torchscript":
        torch.jit.trace(net, example).save(str(path))
    elif dynamic:
        save = {"exported": exporting.save_exported, "onnx": exporting.save_onnx}[kind]
        save(net, SHAPE, str(path))
    elif kind == "exported":
        with open(path, "wb") as stream:
            torch.export.save(torch.export.export(net, (example,)), stream)
    else:
        torch.onnx.export(net, (example,), str(path), dynamo=False)
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["torchscript", "exported", "onnx"])
@pytest.mark.parametrize("name", NETS)
def test_a_file_answers_and_slopes_as_its_network_does(name, kind, tmp_path):
    net = NETS[name]().eval().requires_grad_(False)
    content = written(kind, net, tmp_path, name != "fixed")
    model = build_model({"arch": kind, "mean": 0.5}, SHAPE, CLASSES, 0, content)
    parts = [net(torch.cat([pair, pair])[:2] - 0.5)[: len(pair)] for pair in IMAGES.split(2)]
    with evaluating(model):
        logits = model(IMAGES)
        torch.testing.assert_close(logits, torch.cat(parts), rtol=1e-4, atol=1e-5)
        slope, _, _ = BatchedModel(model).gradient(IMAGES, lambda logits, rows: logits[:, 0])
    leaf = (IMAGES[:2] - 0.5).requires_grad_()
    (own,) = torch.autograd.grad(net(leaf)[:, 0].sum(), leaf)
    torch.testing.assert_close(slope[:2], own, rtol=1e-3, atol=1e-5)
    assert not any(weight.requires_grad for weight in model.parameters())
    assert model.to(memory_format=torch.channels_last)(IMAGES).shape == (11, CLASSES)


@pytest.mark.parametrize("name", ["plain", "fixed"])
def test_onnx_without_gradients_answers_alike(name, tmp_path):
    net = NETS[name]().eval()
    content = written("onnx", net, tmp_path, name != "fixed")
    settings = {"arch": "onnx", "gradients": False}
    asked = build_model(settings, SHAPE, CLASSES, 0, content)
    rebuilt = build_model({"arch": "onnx"}, SHAPE, CLASSES, 0, content)
    torch.testing.assert_close(asked(IMAGES), rebuilt(IMAGES), rtol=1e-4, atol=1e-5)
    assert not asked(IMAGES.clone().requires_grad_()).requires_grad


def test_an_onnx_chain_becomes_plain_layers(tmp_path):
    content = written("onnx", conv_net().eval(), tmp_path, True)
    network = build_model({"arch": "onnx"}, SHAPE, CLASSES, 0, content).network
    kinds = [type(layer) for layer in network]
    assert isinstance(network, nn.Sequential)
    assert kinds[:1] == [nn.Conv2d] and kinds[-1] is nn.Linear and nn.ReLU in kinds


LAST = ("Flatten", ["h"], ["y"])
WEIGHT = ("w", torch.arange(54.0).reshape(2, 3, 3, 3) / 54)
PADS = ("pads", torch.tensor([0, 0, 0, 0, 0, 0, 1, 2]))


@pytest.mark.parametrize(
    ("nodes", "constants", "answer"),
    [
        ([("Sub", ["x", "c"], ["h"]), LAST], [("c", torch.ones(1))], lambda x: x - 1),
        ([("Sub", ["c", "x"], ["h"]), LAST], [("c", torch.ones(1))], lambda x: 1 - x),
        (
            [("Conv", ["x", "w"], ["h"], {"auto_pad": "SAME_UPPER", "strides": [2, 2]}), LAST],
            [WEIGHT],
            lambda x: nn.functional.conv2d(nn.functional.pad(x, (0, 1, 0, 1)), WEIGHT[1], stride=2),
        ),
        (
            [("Pad", ["x", "pads"], ["h"]), LAST],
            [PADS],
            lambda x: nn.functional.pad(x, (0, 2, 0, 1)),
        ),
        (
            [("Clip", ["x", "", "c"], ["h"]), LAST],
            [("c", torch.tensor(0.5))],
            lambda x: x.clamp(max=0.5),
        ),
        (
            [
                ("Shape", ["x"], ["s"]),
                ("Gather", ["s", "i"], ["b"]),
                ("Unsqueeze", ["b", "i"], ["u"]),
            ]
            + [("Concat", ["u", "m"], ["t"], {"axis": 0}), ("Reshape", ["x", "t"], ["y"])],
            [("i", torch.tensor(0)), ("m", torch.tensor([-1]))],
            lambda x: x,
        ),
        (
            [("Slice", ["x", "a", "b", "k"], ["h"]), LAST],
            [("a", torch.tensor([-3])), ("b", torch.tensor([99])), ("k", torch.tensor([2]))],
            lambda x: x[:, :, -3:],
        ),
        (
            [("Slice", ["x", "a", "b", "k", "s"], ["h"]), LAST],
            [("a", torch.tensor([-1])), ("b", torch.tensor([-99])), ("k", torch.tensor([-1]))]
            + [("s", torch.tensor([-2]))],
            lambda x: x.flip(3)[..., ::2],
        ),
        (
            [("ReduceMean", ["x"], ["h"], {"axes": [2], "keepdims": 0}), LAST],
            [],
            lambda x: x.mean(2),
        ),
    ],
    ids=["sub", "sub constant", "same pad", "pad", "clip", "reshape", "slice", "back", "mean"],
)
def test_operators_agree_with_pytorch_and_with_onnx_runtime(nodes, constants, answer):
    content = onnx_file(nodes, constants)
    expected = answer(IMAGES).flatten(1)
    for gradients in (True, False):
        settings = {"arch": "onnx", "gradients": gradients}
        found = build_model(settings, SHAPE, expected.shape[1], 0, content).eval()(IMAGES)
        torch.testing.assert_close(found, expected)


def test_networks_that_take_channels_last_are_shown_that():
    wide = (3, 6, 4)
    images = torch.rand(3, *wide)
    content = onnx_file([("Flatten", ["x"], ["y"])], shape=("n", 6, 4, 3))
    for gradients in (True, False):
        model = build_model({"arch": "onnx", "gradients": gradients}, wide, 72, 0, content)
        assert torch.equal(model(images), images.permute(0, 2, 3, 1).flatten(1))


# Files that are refused


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


class Evil:
    def __reduce__(self):
        return (print, ("code was run",))


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


LIES = ("w", torch.zeros(2, 3, 3, 3))


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


# A look at the model before it is attacked


class Looks(nn.Module):
    """Tells a bright left from a bright right half, of images in a range."""

    def __init__(self, trick=None, scale=1.0):
        super().__init__()
        self.trick, self.scale = trick, scale

    def forward(self, x):
        x = x / self.scale
        if self.trick == "detach":
            x = x.detach()
        if self.trick == "zero":
            x = x.detach() + 0 * x
        left, right = x[..., :4].mean((1, 2, 3)), x[..., 4:].mean((1, 2, 3))
        logits = torch.stack([left, right], 1)
        logits = logits * torch.nan if self.trick == "nan" else logits
        return logits.repeat(1, 2) if self.trick == "four" else logits


PART = tiny.part(60)


def look(model, tmp_path, expected=None, more=None, **settings):
    """Import a model's file as TorchScript and look at it; gives the record."""
    path = tmp_path / "net.ts"
    torch.jit.trace(model, PART.images[:2], check_trace=False).save(str(path))
    settings = {"arch": "torchscript"} | settings
    spec = {"model": settings, "name": "net.ts", "sha256": None, "seed": 0, "batch": 32}
    spec |= {"expected_clean_accuracy": expected} | (more or {})
    given = import_weights(spec, tiny.SHAPE, 2, str(path))
    made = build_model(settings, tiny.SHAPE, 2, 0, bundle.unpack(given.state, "x"))
    return report(spec, given, made, PART.images, PART.labels, 2)


def test_a_good_model_gets_no_warning_and_its_record_says_what_it_is(tmp_path):
    record = look(Looks(), tmp_path, 1.0)
    assert record["warnings"] == [] and record["validation_clean"] == 1.0
    assert (record["selection"], record["epochs"]) == ("as_given", 0)
    assert len(record["file"]["sha256"]) == 64 and record["file"]["arch"] == "torchscript"


class Threshold(Looks):
    """Right only for images in [0, 255]: below 100 it sees the left half alone."""

    def forward(self, x):
        return super().forward(torch.where(x.amax((1, 2, 3), keepdim=True) > 2, x, -x))


def test_wrong_settings_are_told_with_better_ones(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "gauntlet"):
        record = look(Threshold(), tmp_path, 0.99)
    (message,) = record["warnings"]
    assert (
        "near chance (50.0 %)" in message
        and "input_range: [0, 255]" in message
        and "100.0 %" in message
    )
    assert message in caplog.text
    assert look(Threshold(), tmp_path, 0.99, input_range=[0, 255])["warnings"] == []


@pytest.mark.parametrize(
    ("trick", "says"),
    [("detach", "lets no gradient flow.*gradients: false"), ("nan", "are not finite")]
    + [("four", r"answers 2 images with \[2, 4\]; the data have 2 classes")],
)
def test_a_model_that_cannot_be_attacked_is_refused(trick, says, tmp_path):
    with pytest.raises(GauntletError, match=says):
        look(Looks(trick), tmp_path)


def test_a_model_without_a_gradient_is_named_and_may_be_audited(tmp_path):
    spec = {"called": "hidden", "audited": True}
    with pytest.raises(GauntletError, match=r"The model 'hidden' \(\S+\) lets no gradient flow"):
        look(Looks("detach"), tmp_path, more=spec | {"audited": False})
    (warning,) = look(Looks("detach"), tmp_path, more=spec)["warnings"]
    assert "black box" in warning


def test_gradients_are_looked_at_unless_they_are_not_wanted(tmp_path):
    assert "gradients of all 32 images are zero" in look(Looks("zero"), tmp_path)["warnings"][0]
    assert look(Looks("detach"), tmp_path, gradients=False)["warnings"] == []
