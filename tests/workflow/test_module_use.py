"""The workflow from elsewhere: by its path, as a module of another workflow, and wrong targets."""

import re
import subprocess
import sys

import numpy as np
import pytest
import yaml

from tests.helpers.places import ROOT
from tests.helpers.snakes import STUDY, merged

pytestmark = pytest.mark.workflow

PAGE = ROOT / "docs" / "how-to" / "use_as_a_module.md"


def described():
    """Give the Snakefile of the page that describes modules, with the path of this checkout."""
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.S)[1]
    assert "/path/to/gauntlet/" in code
    return code.replace("/path/to/gauntlet/", f"{ROOT}/")


def snakemake(folder, *arguments, check=True):
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--nocolor", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    printed = done.stdout + done.stderr
    assert not check or done.returncode == 0, printed[-5000:]
    return printed


def configuration():
    """The base configuration with the small study laid over it; a module reads no other file."""
    return merged(yaml.safe_load((ROOT / "config/config.yaml").read_text()), STUDY)


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Another workflow, with a data set of its own and its own settings."""
    folder = tmp_path_factory.mktemp("other")
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (40, 8, 8), dtype=np.uint8)
    np.savez(folder / "own.npz", images=images, labels=np.arange(40) % 2)
    settings = {"source": "npz", "path": "own.npz", "split": {"test": 0.5, "validation": 0.2}}
    robustness = merged(configuration(), {"datasets": {"mine": settings}})
    (folder / "own.yaml").write_text(yaml.safe_dump({"robustness": robustness}))
    (folder / "Snakefile").write_text(described())
    return folder


def test_a_module_plans_a_whole_study_below_its_prefix(other):
    printed = snakemake(other, "-n", "robustness/results/studies/tiny/summary.csv")
    names = set(re.findall(r"^(?:local)?rule (\w+):", printed, re.M))
    assert {"gauntlet_train_model", "gauntlet_publish_tables"} <= names
    assert all(name.startswith("gauntlet_") for name in names)
    files = re.findall(r"^    (?:input|output|log|benchmark): (.*)$", printed, re.M)
    assert len(files) > 20
    for path in ", ".join(files).split(", "):
        assert path.startswith("robustness/"), path


def test_a_module_runs_scripts_on_own_files(other):
    printed = snakemake(other)
    assert "rule mine" in printed
    assert (other / "mine.txt").read_bytes() == (
        other / "robustness/results/data/mine/split.json"
    ).read_bytes()
    assert not (other / "results").exists()
    assert "Nothing to be done" in snakemake(other, "-n")


def test_captions_and_environments_are_found_from_the_rules():
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        for found in re.findall(r'"(\.\./[^"{}]+)"', path.read_text()):
            assert (path.parent / found).is_file(), f"{path.name}: {found}"


@pytest.mark.parametrize("entry", ["Snakefile", "workflow/Snakefile"])
def test_either_snakefile_makes_all_from_another_folder(tmp_path, entry):
    (tmp_path / "overlay.yaml").write_text(yaml.safe_dump(STUDY))
    arguments = ("-s", str(ROOT / entry), "-n", "--configfile", "overlay.yaml")
    printed = snakemake(tmp_path, *arguments, "--quiet", "rules")
    assert re.search(r"^all +1$", printed, re.M) and re.search(r"^train_model +3$", printed, re.M)


TARGETS = {
    "results/studies/nope/summary.csv": "names the study 'nope', .*; allowed are quickstart",
    "results/data/nope/split.json": "names the dataset 'nope', .*; allowed are digits",
    "results/checks/nope/check.json": "names the attack 'nope', .*; allowed are",
    "results/weights/article_cnn/weights": "of the model 'article_cnn', which has no URL; allowed",
    "results/runs/digits/article_cnn/as_given/seed0/best.pt": "the defense 'as_given' of the model",
}


@pytest.mark.parametrize(("target", "sentence"), TARGETS.items())
def test_an_unknown_target_is_refused_in_one_sentence(tmp_path, target, sentence):
    printed = snakemake(tmp_path, "-s", str(ROOT / "Snakefile"), "-n", target, check=False)
    assert re.search(sentence, printed), printed[-2000:]
    assert "KeyError" not in printed
