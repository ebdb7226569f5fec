"""Checkpoints as public code writes them: other names, another order, a normalization beside."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from gauntlet.core.errors import GauntletError
from gauntlet.models import build_model
from gauntlet.models.external.states import read_state
from gauntlet.stages.import_model import import_weights

SHAPE, CLASSES, WIDTH = (3, 16, 16), 10, 2
IMAGES = torch.rand(5, *SHAPE, generator=torch.Generator().manual_seed(0))
MEAN, STD = torch.tensor([0.49, 0.48, 0.45]), torch.tensor([0.25, 0.24, 0.26])
KUANGLIU = {"bn1": "bn1", "bn2": "bn2", "conv1": "conv1", "conv2": "conv2"}
DEEPMIND = {"bn1": "batchnorm_0", "bn2": "batchnorm_1", "conv1": "conv_2d_1", "conv2": "conv_2d_2"}


class Block(nn.Module):
    """A pre-activation block whose layers are registered in the order of their use."""

    def __init__(self, before, after, stride, names, short):
        super().__init__()
        made = {
            "bn1": nn.BatchNorm2d(before),
            "conv1": nn.Conv2d(before, after, 3, stride, 1, bias=False),
            "bn2": nn.BatchNorm2d(after),
            "conv2": nn.Conv2d(after, after, 3, 1, 1, bias=False),
        }
        self.parts = [names[part] for part in made]
        for part, layer in made.items():
            self.add_module(names[part], layer)
        if stride != 1 or before != after:
            conv = nn.Conv2d(before, after, 1, stride, bias=False)
            self.shortcut = conv if short == "plain" else nn.Sequential(conv)

    def forward(self, x):
        norm1, conv1, norm2, conv2 = (getattr(self, part) for part in self.parts)
        active = norm1(x).relu()
        kept = self.shortcut(active) if hasattr(self, "shortcut") else x
        return conv2(norm2(conv1(active)).relu()) + kept


class PreAct(nn.Module):
    """A pre-activation ResNet-18 in the words of some public code."""

    def __init__(self, stem, stage, first, last, head, names, short):
        super().__init__()
        self.order = [stem, *(f"{stage}{first + place}" for place in range(4))]
        self.last, self.head, before = last, head, WIDTH
        self.add_module(stem, nn.Conv2d(3, WIDTH, 3, padding=1, bias=False))
        for name, (factor, stride) in zip(
            self.order[1:], ((1, 1), (2, 2), (4, 2), (8, 2)), strict=True
        ):
            after = WIDTH * factor
            first_block = Block(before, after, stride, names, short)
            self.add_module(name, nn.Sequential(first_block, Block(after, after, 1, names, short)))
            before = after
        if last:
            self.add_module(last, nn.BatchNorm2d(before))
        self.add_module(head, nn.Linear(before, CLASSES))

    def forward(self, x):
        for name in self.order:
            x = getattr(self, name)(x)
        x = getattr(self, self.last)(x).relu() if self.last else x
        return getattr(self, self.head)(x.mean((2, 3)))


PUBLIC = {
    "with a last norm": ("conv1", "layer", 1, "bn", "linear", KUANGLIU, "sequence"),
    "kuangliu": ("conv1", "layer", 1, None, "linear", KUANGLIU, "sequence"),
    "torchvision's words": ("conv1", "layer", 1, "bn1", "fc", KUANGLIU, "sequence"),
    "DeepMind": ("conv_2d", "layer_", 0, "batchnorm", "logits", DEEPMIND, "plain"),
    "words of nobody": ("entry", "part", 5, "after", "answer", KUANGLIU, "sequence"),
}


def trained(case):
    """Give a network whose running statistics are not those of a fresh one, in eval mode."""
    torch.manual_seed(0)
    net = PreAct(*PUBLIC[case])
    for _ in range(3):
        net(torch.rand(16, *SHAPE))
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
    return net.eval()


def taken(state, tmp_path, name="w.pt", key=None, **settings):
    """Import a state dict; give the model that comes of it, and the notes."""
    path = tmp_path / name
    (save_file if name.endswith("safetensors") else torch.save)(state, path)
    model = {"arch": "preact_resnet18", "width": WIDTH} | settings
    spec = {"model": model, "name": name, "sha256": None, "seed": 0, "weights_key": key}
    given = import_weights(spec, SHAPE, CLASSES, str(path))
    built = build_model(model, SHAPE, CLASSES, 0).eval()
    built.load_state_dict(given.state)
    return built, given.notes


@pytest.mark.parametrize("case", PUBLIC)
def test_a_public_network_gives_the_same_logits(case, tmp_path):
    net = trained(case)
    model, notes = taken(net.state_dict(), tmp_path, final_norm=case != "kuangliu")
    assert torch.equal(model(IMAGES), net(IMAGES))
    order = case == "words of nobody"
    assert ("order differ" if order else "names are those of public code") in notes[0]


@pytest.mark.parametrize("case", list(PUBLIC)[:4])
def test_a_file_without_an_order_is_read_by_its_names(case, tmp_path):
    net = trained(case)
    model, _ = taken(net.state_dict(), tmp_path, "w.safetensors", final_norm=case != "kuangliu")
    assert torch.equal(model(IMAGES), net(IMAGES))
    with pytest.raises(GauntletError, match="another architecture"):
        taken(trained("words of nobody").state_dict(), tmp_path, "x.safetensors")


def test_layers_of_a_file_without_an_order_are_sorted_by_their_numbers(tmp_path):
    state = {f"layer{place}.weight": torch.full((2, 2), float(place)) for place in range(12)}
    save_file(state, tmp_path / "w.safetensors")
    found, _ = read_state(str(tmp_path / "w.safetensors"), 1 << 20)
    assert [int(value[0, 0]) for value in found.values()] == list(range(12))


def under(state, start):
    return {start + name: value for name, value in state.items()}


def pair(mean, std, start="", shape=(3,)):
    return {f"{start}{mean}": MEAN.reshape(shape), f"{start}{std}": STD.reshape(shape)}


WRAPPED = {
    "Sequential(Normalize, net)": lambda s: pair("mean", "std", "0.") | under(s, "1."),
    "of a parallel module": lambda s: (
        pair("mean", "std", "module.0.", (3, 1, 1)) | under(s, "module.1.")
    ),
    "normalizer beside model": lambda s: under(s, "model.") | pair("mean", "std", "normalizer."),
    "buffers of the network": lambda s: pair("mu", "sigma", shape=(1, 3, 1, 1)) | s,
    "under state_dict": lambda s: {
        "state_dict": under(s | pair("_mean", "_std", "normalize."), "module."),
        "epoch": 3,
    },
    "pixel_mean": lambda s: pair("pixel_mean", "pixel_std") | under(s, "backbone."),
}


@pytest.mark.parametrize("case", WRAPPED)
@pytest.mark.parametrize("words", ["with a last norm", "words of nobody"])
def test_a_normalization_in_the_file_is_read(case, words, tmp_path):
    net = trained(words)
    normal = (IMAGES - MEAN.reshape(3, 1, 1)) / STD.reshape(3, 1, 1)
    model, notes = taken(WRAPPED[case](net.state_dict()), tmp_path)
    torch.testing.assert_close(model(IMAGES), net(normal))
    assert "normalization read from the file: mean: [0.49, 0.48, 0.45], std: [0.25," in notes[-1]


def test_a_normalization_in_the_settings_comes_first(tmp_path):
    net = trained("with a last norm")
    state = WRAPPED["normalizer beside model"](net.state_dict())
    model, _ = taken(state, tmp_path, mean=0.5, std=0.5)
    torch.testing.assert_close(model(IMAGES), net((IMAGES - 0.5) / 0.5))


@pytest.mark.parametrize("std", [torch.zeros(3), torch.ones(4), torch.tensor([1, 1, torch.nan])])
def test_what_cannot_be_a_normalization_is_left_aside(std, tmp_path):
    net = trained("with a last norm")
    state = under(net.state_dict(), "model.") | {"n.mean": MEAN, "n.std": std}
    model, notes = taken(state, tmp_path)
    assert torch.equal(model(IMAGES), net(IMAGES))
    assert "left aside, not in the architecture: n.mean, n.std" in notes


SEVERAL = {
    "a list": (lambda a, b: [b, a], 1),
    "a list, as text": (lambda a, b: [b, {"model": a}], "1"),
    "names": (lambda a, b: {"student": b, "teacher": a}, "teacher"),
    "inside a wrapper": (lambda a, b: {"state_dict": [b, a], "epoch": 3}, 1),
    "with its wrapper": (lambda a, b: {"state_dict": [b, a], "epoch": 3}, "state_dict.1"),
    "a path": (lambda a, b: {"ema": {"best.model": a}, "model": b}, "ema.best.model"),
    "a number among names": (lambda a, b: {0: b, 1: {"x": [b, a]}}, "1.x.1"),
    "beginnings": (lambda a, b: under(b, "student.") | under(a, "teacher.net."), "teacher"),
}


@pytest.mark.parametrize("case", SEVERAL)
def test_weights_key_names_one_of_several(case, tmp_path):
    make, key = SEVERAL[case]
    net, other = trained("with a last norm"), trained("kuangliu")
    model, notes = taken(make(net.state_dict(), other.state_dict()), tmp_path, key=key)
    assert torch.equal(model(IMAGES), net(IMAGES)) and f"weights_key: {key}" in notes


@pytest.mark.parametrize(
    ("content", "key", "says"),
    [
        ([{}, {}], 2, r"nothing at weights_key '2'; where '2' is looked for, it holds a list of 2"),
        (
            {"a": {"b": 1}, "z": 2},
            "a.c",
            r"where 'c' is looked for, it holds a mapping with 'b' \(int\)",
        ),
        ({"a": 1}, "a", "holds int, where names with tensors are expected"),
        ({"a": {}}, "a", "holds a mapping with nothing"),
    ],
)
def test_a_wrong_weights_key_is_told_with_what_is_there(content, key, says, tmp_path):
    with pytest.raises(GauntletError, match=says):
        taken(content, tmp_path, key=key)


def test_a_list_of_three_state_dicts_names_them(tmp_path):
    """As in networks that robust training scales: the list lies under state_dict."""
    states = [trained("with a last norm").state_dict() for _ in range(3)]
    says = r"holds a list of 3: 0 \(a state dict of 107 tensors\), 1 .*weights_key, such as 0\."
    with pytest.raises(GauntletError, match=says):
        taken({"state_dict": states, "err": 0.1, "epoch": 3}, tmp_path)
