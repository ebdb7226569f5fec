"""What a result's record says of its making: commit, date, and every package that can decide it."""

import ast
import re
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from gauntlet.runtime import provenance
from tests.helpers.places import LIBRARY, ROOT, SCRIPTS

# Packages that the code imports and that decide no result: bars, settings, starting jobs.
DECIDE_NOTHING = {"jsonschema", "yaml", "tabulate", "pygments", "rich", "tqdm", "typer", "psutil"}
DECIDE_NOTHING |= {"snakemake_interface_logger_plugins", "click", "IPython"}
DECIDE_NOTHING |= {"tensorboard", "wandb", "mlflow"}  # they draw trainings
IMPORTED_AS = {"PIL": "pillow", "sklearn": "scikit-learn", "google": "protobuf"}


def _git(folder, *words):
    own = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *own, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    _git(tmp_path, "init", "-q")
    (tmp_path / "code.py").write_text("one = 1\n")
    _git(tmp_path, "add", "code.py")
    _git(tmp_path, "commit", "-q", "-m", "first")
    _git(tmp_path, "tag", "v1")
    return tmp_path


def test_the_commit_is_that_of_the_checkout(checkout):
    file = str(checkout / "code.py")
    assert provenance.commit.__wrapped__(file) == _git(checkout, "rev-parse", "HEAD")
    (checkout / "code.py").write_text("one = 2\n")
    assert provenance.commit.__wrapped__(file) == _git(checkout, "rev-parse", "HEAD") + "-changed"


def test_a_copy_inside_another_repository_has_no_commit(checkout):
    (checkout / "installed.py").write_text("")
    assert provenance.commit.__wrapped__(str(checkout / "installed.py")) is None


def test_outside_a_repository_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.commit.__wrapped__(str(tmp_path / "code.py")) is None


def test_without_git_there_is_no_commit(checkout, monkeypatch):
    monkeypatch.setenv("PATH", str(checkout))
    assert provenance.commit.__wrapped__(str(checkout / "code.py")) is None


def test_a_record_has_date_version_and_commit():
    made = provenance.made({"params": {"spec": {}, "code": "c"}}, 1.0, 1.0, [])
    age = datetime.now(UTC) - datetime.fromisoformat(made["date"])
    assert 0 <= age.total_seconds() < 600
    assert made["commit"] == provenance.commit()
    assert re.fullmatch(r"[0-9]+(\.[0-9]+)+.*", made["gauntlet"])


def _imported():
    for path in [*LIBRARY.rglob("*.py"), *SCRIPTS.glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield node.module


def test_every_package_that_is_imported_is_part_of_the_stores_key():
    """Else another version of it would be given results of the one before."""
    tops = {name.partition(".")[0] for name in _imported()} - set(sys.stdlib_module_names)
    own = {"gauntlet", *(path.stem for path in LIBRARY.iterdir())}
    deciding = {IMPORTED_AS.get(name, name) for name in tops - own - DECIDE_NOTHING}
    assert deciding <= set(provenance.VERSIONS)


def test_every_such_package_is_pinned():
    pinned = set(re.findall(r"^([\w.-]+)==", (ROOT / "envs" / "lock.txt").read_text(), re.M))
    assert {name.lower() for name in provenance.VERSIONS} <= {name.lower() for name in pinned}
