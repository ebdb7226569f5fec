"""The package itself: light to import, its calls where users look for them, one version."""

import inspect
import json
import subprocess
import sys
import tomllib

import pytest

import gauntlet
from gauntlet.core import locations
from tests.helpers.places import ROOT

LIBRARY = str(ROOT / "workflow" / "lib")


def fresh(program):
    """Run a program in a new interpreter; what it prints, read as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": LIBRARY, "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_import_alone_loads_nothing_heavy():
    program = "import json, sys, gauntlet; print(json.dumps(sorted(sys.modules)))"
    before = fresh("import json, sys; print(json.dumps(sorted(sys.modules)))")
    extra = set(fresh(program)) - set(before)
    assert (
        {"gauntlet"}
        <= extra
        <= {"gauntlet", "importlib", "importlib._bootstrap"}
        | {name for name in extra if name.startswith(("importlib", "warnings"))}
    )


CALL = "import numpy, torch; model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))"
CALL += "; given = (model, torch.rand(4, 1, 2, 2), torch.tensor([0, 1, 0, 1]))"
ORDERS = {
    "package first": "import gauntlet.certify, gauntlet.audit, gauntlet",
    "gauntlet first": "import gauntlet",
    "from": "from gauntlet import certify, audit; import gauntlet",
    "API first": "import gauntlet.api, gauntlet",
    "stages first": "import gauntlet.stages.certify, gauntlet.stages.audit, gauntlet",
}


@pytest.mark.parametrize("order", ORDERS)
def test_rooms_can_be_called_and_stay_packages(order):
    found = fresh(
        f"import json; {ORDERS[order]}; {CALL}; "
        "report = gauntlet.certify(*given, eps=0.01, norm='linf'); "
        "from gauntlet.certify import Certificate, certify; "
        "from gauntlet.audit import Finding, audit; "
        "print(json.dumps([report.n, callable(gauntlet.audit), certify.__module__, "
        "gauntlet.audit.__name__]))"
    )
    assert found == [4, True, "gauntlet.certify", "gauntlet.audit"]


def test_every_call_is_listed_and_explained():
    from gauntlet import api

    assert set(api.__all__) == {*gauntlet.CALLS, *gauntlet.CALLABLE_ROOMS} <= set(dir(gauntlet))
    stub = (ROOT / "workflow" / "lib" / "gauntlet" / "__init__.pyi").read_text()
    for name in api.__all__:
        assert len(inspect.getdoc(getattr(api, name))) > 100
        assert f"from gauntlet.api import {name} as {name}\n" in stub


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="no attribute 'atack'"):
        gauntlet.atack  # noqa: B018


def test_one_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert gauntlet.__version__ == project["version"]
    assert locations.workflow_home() == ROOT


def test_version_of_an_installed_package(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(locations, "CHECKOUT", tmp_path)
    monkeypatch.setattr(locations.metadata, "version", lambda name: asked.append(name) or "7.8.9")
    assert locations.version.__wrapped__() == "7.8.9" and asked == ["gauntlet-robustness"]


def test_missing_workflow_files_are_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(locations, "CHECKOUT", tmp_path)
    monkeypatch.setattr(locations, "INSTALLED", tmp_path / "_workflow")
    with pytest.raises(FileNotFoundError, match="install gauntlet-robustness again"):
        locations.workflow_home.__wrapped__()
    place = tmp_path / "_workflow" / locations.SCHEMA
    place.parent.mkdir(parents=True)
    place.touch()
    assert locations.workflow_home.__wrapped__() == tmp_path / "_workflow"
