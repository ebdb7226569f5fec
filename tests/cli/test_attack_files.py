"""`gauntlet attack`: what a file is, and the study that is written for it."""

import itertools
import re
import zipfile
from pathlib import Path

import pytest
import torch
import yaml
from typer.testing import CliRunner

from gauntlet.cli import data_sources, levels, model_files
from gauntlet.cli.configuration import check_text
from gauntlet.cli.errors import UsageMistake
from gauntlet.cli.main import application
from gauntlet.cli.names import configuration_of, name_for, study_name
from gauntlet.cli.yaml_files import write_generated

LEVELS = (levels.QUICK, levels.USUAL, levels.FULL)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _net():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)).eval()


def test_each_form_of_file_is_known(here):
    example = torch.zeros(2, 1, 8, 8)
    torch.jit.trace(_net(), example).save("traced.pt")
    torch.export.save(torch.export.export(_net(), (example,)), "whole.pt2")
    torch.save(_net().state_dict(), "state.pth")
    torch.save(_net().state_dict(), "old.pth", _use_new_zipfile_serialization=False)
    Path("net.onnx").write_bytes(b"onnx")
    files = ("traced.pt", "whole.pt2", "state.pth", "old.pth", "net.onnx")
    kinds = [model_files.file_kind(Path(name)) for name in files]
    assert kinds == ["torchscript", "exported", "state_dict", "state_dict", "onnx"]


CASES = list(itertools.product(LEVELS, levels.NORMS, (True, False), ("digits", "mnist", "cifar10")))


@pytest.mark.parametrize(("level", "norm", "gradients", "data"), CASES)
def test_what_is_written_can_be_run(level, norm, gradients, data):
    entry = {"arch": "article_cnn", "weights": "x.pt"} | ({} if gradients else {"gradients": False})
    given = ("mine", data_sources.source(data), entry, level, norm, "8/255", None)
    if norm == "l1" and not gradients:
        with pytest.raises(UsageMistake, match="No attack of --no-gradients knows the norm l1"):
            levels.study_yaml(*given)
        return
    text = levels.study_yaml(*given)
    check_text(text)
    study = yaml.safe_load(text)
    assert study["run"] == ["mine"] and study["studies"]["mine"]["defenses"] == ["as_given"]
    assert {attack["norm"] for attack in study["attacks"].values()} == {norm}
    limit = study["datasets"][data]["split"].get("test_limit")
    assert limit == level.images
    if gradients and norm != "l1" and level is not levels.QUICK:
        assert "gauntlet" in study["attacks"]


# Options, and what is said of them.
REFUSED = [
    ([], "holds weights without their network; allowed are --arch"),
    (["--arch", "mlp", "--layers", "a.yaml"], "exclude each other"),
    (["--arch", "cnn"], "models.weights.arch is 'cnn'; allowed is one of article_cnn"),
    (["--layers", "none.yaml"], "--layers is 'none.yaml', which is no YAML file"),
    (["--layers", "empty.yaml"], "empty.yaml holds no list of layers"),
    (["--layers", "bad.yaml"], "models.weights.layers.*conv9d"),
    (["--factory", "none.py:net"], "there is no file 'none.py'"),
    (["--factory", "net"], "allowed is FILE.py:FUNCTION"),
    (["--factory", "../out.py:net"], "its file must be below this folder"),
    (["--arch", "mlp", "--mean", "a"], "--mean is 'a'; allowed are numbers"),
    (["--arch", "mlp", "--norm", "l3"], "--norm is 'l3'; allowed are linf, l2, l1"),
    (["--arch", "mlp", "--eps", "big"], "--eps is 'big'; allowed is a number or a fraction"),
    (["--arch", "mlp", "--quick", "--full"], "--quick and --full exclude each other"),
    (["--arch", "mlp", "--data", "mnsit"], "--data is 'mnsit'"),
]


@pytest.mark.parametrize(("options", "said"), REFUSED, ids=[" ".join(r[0]) for r in REFUSED])
def test_a_mistake_leaves_no_file(options, said, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "out.py").write_text("")
    monkeypatch.chdir(home)
    torch.save(_net().state_dict(), "weights.pth")
    Path("empty.yaml").write_text("")
    Path("bad.yaml").write_text("- {layer: conv9d}\n")
    before = sorted(home.rglob("*"))
    words = ["attack", "weights.pth", "--data", "digits", "--eps", "0.1", *options]
    done = CliRunner().invoke(application(), words)
    assert done.exit_code == 2, done.output
    assert re.search(said, done.output) and "Traceback" not in done.output
    assert sorted(home.rglob("*")) == before


def test_a_file_that_was_edited_is_kept(here):
    path = Path("study.yaml")
    write_generated(path, "run: [a]\n")
    write_generated(path, "run: [b]\n")
    path.write_text(path.read_text() + "more: 1\n")
    with pytest.raises(UsageMistake, match="was changed by hand"):
        write_generated(path, "run: [c]\n")
    assert "run: [b]" in path.read_text()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        *(("Fast-AT", "fast_at"), ("3x", "model_3x"), ("_", "model"), ("on", "model_on")),
        *(("null", "model_null"), ("quickstart", "model_quickstart"), ("x" * 90, "x" * 58)),
    ],
)
def test_a_study_is_named_after_its_file(text, name):
    assert study_name(text) == name


def test_two_files_of_one_name_have_studies_of_their_own(here):
    """Each by its name, by its folder's, by a checksum; again the same for the same file."""
    names = []
    for folder in ("a", "b", "x/b", "a"):
        names.append(name_for(Path(folder, "model.pt")))
        entry = {"arch": "torchscript", "weights": f"{folder}/model.pt"}
        given = (names[-1], data_sources.source("digits"), entry, levels.QUICK, "linf", 0.1, None)
        write_generated(configuration_of(names[-1]), levels.study_yaml(*given))
    assert names[:2] == ["model", "b_model"] and names[3] == "model"
    assert re.fullmatch("model_[0-9a-f]{8}", names[2])
    assert sorted(path.name for path in here.iterdir()) == sorted(
        f"gauntlet-{name}.yaml" for name in names[:3]
    )


def test_a_zip_that_is_no_model_is_taken_for_weights(here):
    with zipfile.ZipFile("x.pth", "w") as archive:
        archive.writestr("a.txt", "a")
    assert model_files.file_kind(Path("x.pth")) == "state_dict"
