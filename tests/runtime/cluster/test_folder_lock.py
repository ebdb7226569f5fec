"""One launcher for one folder: on this machine by its process, from another by its pulse."""

import json
import os
import subprocess
import sys

import pytest

from gauntlet.core.errors import GauntletError
from gauntlet.runtime.cluster import folder_lock
from gauntlet.runtime.cluster.folder_lock import Claim
from tests.helpers.places import LIBRARY


def _left(folder, **change):
    """Write the claim that another launcher has left."""
    path = folder / folder_lock.FILE
    path.parent.mkdir(exist_ok=True)
    record = {"host": "elsewhere", "pid": 1, "started": "1", "boot": "b", "token": "t", "beat": 1}
    path.write_text(json.dumps(record | change))
    return path


def test_a_claim_is_taken_once_and_given_back(tmp_path):
    with Claim(str(tmp_path)):
        with pytest.raises(GauntletError, match=f"process {os.getpid()} on "), Claim(str(tmp_path)):
            pass
        assert (tmp_path / folder_lock.FILE).exists()
    assert not (tmp_path / folder_lock.FILE).exists()
    with Claim(str(tmp_path)):
        pass


def test_what_a_killed_launcher_left_is_taken_over(tmp_path):
    code = "import os; from gauntlet.runtime.cluster.folder_lock import Claim; "
    code += f"Claim({str(tmp_path)!r}).__enter__()"
    environment = {**os.environ, "PYTHONPATH": LIBRARY}
    subprocess.run([sys.executable, "-c", code + "; os._exit(9)"], env=environment)
    assert folder_lock.read(tmp_path / folder_lock.FILE)["pid"] != os.getpid()
    with Claim(str(tmp_path)):
        assert folder_lock.read(tmp_path / folder_lock.FILE)["pid"] == os.getpid()


def test_a_process_that_has_the_number_of_another_is_not_that_one(tmp_path):
    with Claim(str(tmp_path)):
        record = folder_lock.read(tmp_path / folder_lock.FILE)
    assert folder_lock.lives(record)
    assert not folder_lock.lives(record | {"started": "1"})
    assert not folder_lock.lives(record | {"boot": "an earlier one"})


def test_a_launcher_elsewhere_without_a_pulse_is_gone(tmp_path):
    _left(tmp_path)
    with Claim(str(tmp_path), watch=0.2, pause=0.05):
        assert folder_lock.read(tmp_path / folder_lock.FILE)["pid"] == os.getpid()


def test_a_launcher_elsewhere_with_a_pulse_is_left_alone(tmp_path, monkeypatch):
    _left(tmp_path)
    monkeypatch.setattr(folder_lock.time, "sleep", lambda _: _left(tmp_path, beat=2))
    with pytest.raises(GauntletError, match="process 1 on elsewhere"), Claim(str(tmp_path)):
        pass
    assert folder_lock.read(tmp_path / folder_lock.FILE)["beat"] == 2


@pytest.mark.parametrize("text", ["", "[]", "{", '{"host": "x"}', "7"])
def test_a_broken_claim_is_none(tmp_path, text):
    _left(tmp_path).write_text(text)
    with Claim(str(tmp_path)):
        pass


def test_the_pulse_beats_no_more_often_than_it_should(tmp_path):
    with Claim(str(tmp_path)) as held:
        held.beat()
        assert folder_lock.read(tmp_path / folder_lock.FILE)["beat"] == 1
        held.beat(at_once=True)
        assert folder_lock.read(tmp_path / folder_lock.FILE)["beat"] == 2
