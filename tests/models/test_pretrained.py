"""Pretrained weights of torchvision: verified, loaded, normalized, with a head of other classes."""

import hashlib
import re
from functools import partial

import pytest
import torch
from torchvision import models
from torchvision.models._api import Weights, WeightsEnum
from torchvision.transforms._presets import ImageClassification

from gauntlet.core.errors import GauntletError
from gauntlet.models import build_model
from gauntlet.models.external import pretrained
from gauntlet.models.torchvision import start_from
from tests.helpers.servers import serving

NAME = "shufflenet_v2_x0_5"
SETTINGS = {"arch": "torchvision", "name": NAME}
COLOR, GRAY = (3, 32, 32), (1, 32, 32)
FILE = "shufflenet-{}.pth"


@pytest.fixture(scope="module")
def state():
    """The weights of a network of six classes, as a file of torchvision has them."""
    torch.manual_seed(5)
    network = models.get_model(NAME, weights=None, num_classes=6)
    moved = network.state_dict()
    return {k: value + 0.01 if value.is_floating_point() else value for k, value in moved.items()}


@pytest.fixture(scope="module")
def file(state, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "w.pth"
    torch.save(state, path)
    return path


def publish(monkeypatch, url):
    """Let torchvision's list have these weights alone."""
    transforms = partial(ImageClassification, crop_size=32)

    class Small(WeightsEnum):
        IMAGENET1K_V1 = Weights(url=url, transforms=transforms, meta={"categories": ["a"] * 6})
        DEFAULT = IMAGENET1K_V1

    monkeypatch.setattr(models, "get_model_weights", lambda name: Small)


def digest_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()[:8]


def fresh(classes, shape=COLOR, **settings):
    return build_model(SETTINGS | settings, shape, classes, 0)


def test_the_file_is_downloaded_verified_and_kept(file, tmp_path, monkeypatch):
    name = FILE.format(digest_of(file))
    with serving({f"/models/{name}": file.read_bytes()}) as server:
        publish(monkeypatch, f"{server.url}/models/{name}")
        for _ in range(2):  # the second time from the cache
            found = pretrained.fetch_pretrained(NAME, "DEFAULT", [], tmp_path / "cache")
            assert found.read_bytes() == file.read_bytes()
        assert len(server.asked) == 1


def test_a_folder_of_mirrors_comes_first(file, tmp_path, monkeypatch):
    name = FILE.format(digest_of(file))
    (tmp_path / name).write_bytes(file.read_bytes())
    publish(monkeypatch, f"http://127.0.0.1:9/models/{name}")
    found = pretrained.fetch_pretrained(NAME, "IMAGENET1K_V1", [str(tmp_path)], tmp_path / "cache")
    assert found.name == name


def test_another_content_is_refused_with_both_hashes(file, tmp_path, monkeypatch):
    name, found = FILE.format("0" * 8), digest_of(file)
    with serving({f"/{name}": file.read_bytes()}) as server:
        publish(monkeypatch, f"{server.url}/{name}")
        with pytest.raises(GauntletError, match=rf"begins with {found}, not with 00000000"):
            pretrained.fetch_pretrained(NAME, "DEFAULT", [], tmp_path)
    assert not list(tmp_path.glob("*.pth"))


def test_unknown_weights_are_refused_with_those_that_there_are():
    with pytest.raises(GauntletError, match="'IMAGENET1K_V9'.*allowed are DEFAULT, IMAGENET1K_V1"):
        pretrained.published("resnet18", "IMAGENET1K_V9")
    with pytest.raises(GauntletError, match="no classifier 'resnet19'"):
        pretrained.published("resnet19", "DEFAULT")


def test_torchvisions_own_list_can_be_read():
    found = pretrained.published("resnet18", "DEFAULT")
    assert found.url.endswith(f"resnet18-{found.digest}.pth")
    assert found.mean == (0.485, 0.456, 0.406) and found.std == (0.229, 0.224, 0.225)
    assert pretrained.published("googlenet", "DEFAULT").mean == (0.5, 0.5, 0.5)


def test_all_published_weights_name_a_hash():
    for name in models.list_models(module=models):
        for weights in models.get_model_weights(name).__members__:
            assert len(pretrained.published(name, weights).digest) >= 8


@pytest.mark.parametrize("classes, whole", [(6, True), (4, False)])
def test_the_head_is_replaced_for_other_classes_and_only_then(classes, whole, state, file):
    model, before = fresh(classes), fresh(classes).network.state_dict()
    assert start_from(model, SETTINGS, None, str(file)) is False
    after = model.network.state_dict()
    for key, value in after.items():
        head = key.startswith("fc.")
        assert torch.equal(value, before[key] if head and not whole else state[key]), key


def test_published_weights_bring_their_normalization(file, monkeypatch):
    publish(monkeypatch, f"http://127.0.0.1:9/{FILE.format('0' * 8)}")
    model, gray = fresh(6), fresh(6, GRAY)
    for made in (model, gray):
        assert start_from(made, SETTINGS, "DEFAULT", str(file)) is True
    assert model.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert model.std.flatten().tolist() == pytest.approx([0.229, 0.224, 0.225])
    assert gray.mean.item() == pytest.approx(0.449) and gray.std.item() == pytest.approx(0.226)


def test_the_answers_are_those_of_torchvisions_network(state, file, monkeypatch):
    publish(monkeypatch, f"http://127.0.0.1:9/{FILE.format('0' * 8)}")
    theirs = models.get_model(NAME, weights=None, num_classes=6)
    theirs.load_state_dict(state)
    images = torch.rand(3, *COLOR, generator=torch.Generator().manual_seed(0))
    small = {"input_size": [48, 48]}
    for settings, seen in (({}, images), (small, None)):
        model = fresh(6, **settings)
        start_from(model, SETTINGS | settings, "DEFAULT", str(file))
        if seen is None:
            seen = model.network[0](images)
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        normal = (seen - mean[:, None, None]) / std[:, None, None]
        wanted = theirs.eval()(normal)
        assert torch.allclose(model.eval()(images), wanted, atol=1e-4)


def test_the_users_own_normalization_stays(file):
    settings = SETTINGS | {"mean": [0.1, 0.2, 0.3], "std": 0.5}
    model = build_model(settings, COLOR, 6, 0)
    assert start_from(model, settings, None, str(file)) is True
    assert model.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])


def changed(state, **changes):
    return {key: value for key, value in (state | changes).items() if value is not None}


WRONG = {
    "another network": lambda s: models.get_model("squeezenet1_1", weights=None).state_dict(),
    "a wider body": lambda s: changed(s, **{"conv1.0.weight": torch.zeros(12, 3, 3, 3)}),
    "a wider head": lambda s: changed(s, **{"fc.weight": torch.zeros(4, 9)}),
    "a missing head": lambda s: changed(s, **{"fc.weight": None}),
    "a missing part": lambda s: changed(s, **{"conv5.0.weight": None}),
    "one part more": lambda s: changed(s, extra=torch.zeros(1)),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_file_of_another_network_is_refused_and_nothing_is_loaded(case, state, tmp_path):
    path, model = tmp_path / "w.pth", fresh(4)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    torch.save(WRONG[case](state), path)
    with pytest.raises(GauntletError, match=f"does not fit torchvision's {NAME}: '"):
        start_from(model, SETTINGS, None, str(path))
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


OLD = {  # how torchvision's published files name some weights
    "densenet121": (r"(denselayer\d+\.(?:norm|conv))([12]\.)", r"\1.\2"),
    "mnasnet0_5": ("", ""),
}


@pytest.mark.parametrize("name", OLD)
def test_files_with_older_names_or_without_a_version_load(name, tmp_path):
    torch.manual_seed(1)
    theirs = models.get_model(name, weights=None, num_classes=6).state_dict()
    old = {re.sub(*OLD[name], key): value for key, value in theirs.items()}
    torch.save(old, tmp_path / "w.pth")
    settings = {"arch": "torchvision", "name": name}
    model = build_model(settings, COLOR, 4, 0)
    start_from(model, settings, None, str(tmp_path / "w.pth"))
    after = model.network.state_dict()
    body = [key for key in theirs if not key.startswith("classifier.")]
    assert all(torch.equal(after[key], theirs[key]) for key in body) and len(body) > 100


def test_layers_of_vision_transformers_have_their_present_names():
    old = "encoder.layers.encoder_layer_0.mlp.linear_{}.weight"
    new = "encoder.layers.encoder_layer_0.mlp.{}.weight"
    found = [pretrained._present(old.format(place)) for place in (1, 2)]
    assert found == [new.format(place) for place in (0, 3)]


class Code:
    def __reduce__(self):
        return (print, ("code was run",))


def test_a_file_with_code_is_refused(tmp_path, capsys):
    torch.save({"fc.weight": Code()}, tmp_path / "w.pth")
    with pytest.raises(GauntletError, match="asks for code to be run"):
        start_from(fresh(4), SETTINGS, None, str(tmp_path / "w.pth"))
    assert "code was run" not in capsys.readouterr().out
