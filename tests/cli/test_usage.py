"""The commands as a user calls them: help, lists, new folders, and mistakes in one sentence."""

import os
import re
import subprocess
import sys

import pytest
import yaml
from typer.testing import CliRunner

from gauntlet.cli.configuration import read_configuration
from gauntlet.cli.list_command import FAMILIES, Kind, plugin_entries
from gauntlet.cli.main import COMMANDS, application
from gauntlet.core import plugins
from tests.helpers.places import LIBRARY, ROOT

# Arguments, exit code, and what is said.
MISTAKES = [
    (["run", "nowhere"], 2, "The configuration 'nowhere' does not exist"),
    (["run", "quickstart", "mnist"], 2, "'mnist' is no setting"),
    (["run", "--cores", "many"], 2, "--cores is 'many'; allowed are a whole number"),
    (["run", "--profile", "nowhere"], 2, "--profile is 'nowhere'; allowed are a folder and"),
    (["run", "bad.yaml"], 2, "bad.yaml is not written in YAML (line 1)"),
    (["run", "list.yaml"], 2, "list.yaml holds a list; allowed is a mapping"),
    (["show", "nothing"], 2, "The study 'nothing' is not finished here"),
    (["show"], 2, "holds no finished study"),
    (["verify", "nowhere"], 2, "The folder 'nowhere' does not exist"),
    (["explain", "nowhere.csv"], 2, "The result 'nowhere.csv' does not exist"),
    (["explain", "bad.yaml"], 1, "No provenance record beside 'bad.yaml' names it"),
    (["explain", "table.csv:9"], 2, "table.csv has 1 rows; row 9 is not one of them"),
    (["explain", "table.csv:1"], 1, "table.csv names no run in row 1"),
    (["list", "attacks", "--plugins", "nowhere"], 2, "--plugins is 'nowhere'"),
    (["new", "there"], 2, "'there' exists already"),
    (["new", "7"], 2, "'7' has no letter to begin a name with"),
    (["new", "x", "--data", "mnits"], 2, "--data is 'mnits'; allowed are mnist"),
    (["new", "x", "--model", "cnn"], 2, "--model is 'cnn'; allowed are article_cnn"),
    (["new", "x", "--attacks", "pdg"], 2, "--attacks names 'pdg'; .*the nearest is 'pgd'"),
    (["new", "x", "--eps", "-1"], 2, "--eps is '-1'; allowed is a number or a fraction"),
    (["new", "x", "--eps", "abc"], 2, "--eps is 'abc'; allowed is a number or a fraction"),
    (["explain", "longer.csv:1"], 2, "longer.csv is no table; its rows are of different lengths"),
    (["nwe", "x"], 2, "No such command 'nwe'"),
    (["attack", "weights.pth", "--eps", "0.1"], 2, "Missing option '--data'"),
]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Work in a folder of its own, with a few files that are wrong."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "bad.yaml").write_text("run: [")
    (tmp_path / "list.yaml").write_text("[1]")
    (tmp_path / "longer.csv").write_text("a\n1,2\n")
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    return tmp_path


def call(*words, **more):
    return CliRunner().invoke(application(), list(words), **more)


@pytest.mark.parametrize(
    ("words", "code", "said"), MISTAKES, ids=[" ".join(m[0]) for m in MISTAKES]
)
def test_a_mistake_is_one_sentence(words, code, said, here):
    before = sorted(here.rglob("*"))
    done = call(*words)
    assert done.exit_code == code, done.output
    assert re.search(said.replace("(", "\\(").replace(")", "\\)"), done.output.replace("\n", " "))
    assert "Traceback" not in done.output
    assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_a_sentence_and_an_example(name):
    done = call(name, "--help")
    assert done.exit_code == 0
    assert f"Example: gauntlet {name} " in " ".join(done.output.split())


def test_help_loads_nothing_heavy():
    """It starts at once: what takes seconds is loaded by the command that needs it."""
    code = (
        "import sys; from gauntlet.cli.main import application\n"
        "try: application()(['--help'])\nexcept SystemExit: pass\n"
        "print('heavy', *sorted({'torch', 'numpy', 'pandas', 'snakemake', 'yaml', 'jsonschema'} "
        "& set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.splitlines()[-1] == "heavy", done.stdout + done.stderr


def test_version():
    assert call("--version").output.startswith("gauntlet 0.")


@pytest.mark.parametrize("kind", Kind)
def test_a_list_has_every_plugin_with_a_sentence(kind, here):
    done = call("list", kind.value, "--long")
    assert done.exit_code == 0
    entries = plugin_entries(kind)
    named = {entry.name for entry in entries}
    assert named and named <= set(plugins.available(FAMILIES[kind]))
    for entry in entries:
        assert entry.title.endswith((".", "?")) and entry.sentence, entry
        assert entry.title in done.output and entry.sentence in done.output


def test_a_list_has_own_plugins_too(here):
    folder = here / "mine" / "attacks"
    folder.mkdir(parents=True)
    (folder / "blink.py").write_text('"""Blink at it."""\n\ndef blink(model):\n    """Do."""\n')
    try:
        done = call("list", "attacks", "--plugins", str(here / "mine"))
    finally:
        plugins.use([])
    assert "blink" in done.output and "Blink at it." in done.output and "pgd" in done.output


@pytest.mark.parametrize("data", ["digits", "mnist", "fashion_mnist", "cifar10", "own.npz", "own"])
def test_new_writes_a_study_that_can_be_run(data, here, monkeypatch):
    (here / "own.npz").write_bytes(b"")
    (here / "own").mkdir()
    done = call("new", "My-Study", "--data", data, "--yes")
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (here / "My-Study").iterdir()) == [
        "README.md",
        "config.yaml",
    ]
    monkeypatch.chdir(here / "My-Study")
    found = read_configuration(None, [])
    assert found.studies == ["my_study"]
    study = found.whole["studies"]["my_study"]
    chosen = found.whole["datasets"][study["datasets"][0]]
    assert "path" not in chosen or os.path.exists(chosen["path"])
    assert [found.whole["attacks"][name]["kind"] for name in study["attacks"]] == [
        *("fgsm", "pgd", "gauntlet")
    ]


def test_new_takes_every_kind_of_attack(here):
    kinds = [entry.name for entry in plugin_entries(Kind.ATTACKS) if entry.name != "adaptive"]
    done = call("new", "all", "--attacks", ",".join(kinds))
    assert done.exit_code == 0, done.output
    written = yaml.safe_load((here / "all" / "config.yaml").read_text())
    assert [f"my_{kind}" for kind in kinds] == written["studies"]["all"]["attacks"]


def test_new_asks_on_a_terminal(here):
    pexpect = pytest.importorskip("pexpect")
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY)}
    child = pexpect.spawn(
        sys.executable, ["-m", "gauntlet", "new", "asked"], env=environment, timeout=120
    )
    for question, answer in (("Data", "mnist"), ("Model", ""), ("Attacks", "fgsm")):
        child.expect(question)
        child.sendline(answer)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    written = yaml.safe_load((here / "asked" / "config.yaml").read_text())
    assert written["studies"]["asked"]["datasets"] == ["mnist"]
    assert written["attacks"]["my_fgsm"] == {"kind": "fgsm", "eps": 0.3}


def test_the_studies_that_come_with_it_are_found_by_name(here):
    names = {path.stem for path in (ROOT / "config").glob("*.yaml")}
    names -= {"config", "external", "reference"}  # the base, files to be made first, no study
    for name in names:
        assert read_configuration(name, []).studies
    assert read_configuration("quickstart", []).studies == ["quickstart"]
