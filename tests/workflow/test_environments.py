"""The pinned lock, the requirements and the conda environment name the same versions."""

import re

import pytest
import yaml

from tests.helpers.places import ROOT

ENVS = ROOT / "envs"


def _normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def _lines(name):
    lines = (ENVS / name).read_text().splitlines()
    return [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()]


LOCK = {_normal(line.split("==")[0]): line.split("==")[1] for line in _lines("lock.txt")}
# The workflow reads formats that Snakemake does not document: only its known versions are allowed.
BOUNDED = re.compile(r"(snakemake)>=[\d.]+,<[\d.]+")


@pytest.mark.parametrize(
    "name", ["requirements.txt", "requirements-cluster.txt", "requirements-dev.txt"]
)
def test_all_that_is_required_is_locked(name):
    wanted = [line for line in _lines(name) if not line.startswith("-")]
    assert wanted
    for package in wanted:
        plain = re.fullmatch(r"([A-Za-z0-9_.-]+)", package) or BOUNDED.fullmatch(package)
        assert plain, f"{package}: versions stand in lock.txt alone"
        assert _normal(plain[1]) in LOCK


def test_conda_has_the_locks_versions():
    packages = yaml.safe_load((ENVS / "gauntlet.yaml").read_text())["dependencies"][-1]["pip"]
    pinned = {_normal(line.split("==")[0]): line.split("==")[1] for line in packages}
    assert pinned == {name: LOCK[name] for name in pinned}
    wanted = [line for line in _lines("requirements.txt") if not line.startswith("-")]
    runtime = {_normal(re.split("[<>=]", line)[0]) for line in wanted}
    optional = {"typer", "rich", "psutil", "pygments"}  # of the process that starts jobs
    assert runtime - optional == set(pinned)


def test_the_lock_pins_what_the_project_was_built_on():
    assert (LOCK["torch"], LOCK["torchvision"]) == ("2.14.1", "0.29.1")
    assert LOCK["snakemake"] == "9.27.1"
