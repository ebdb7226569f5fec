"""One launcher for one folder: on this machine by its process, from another by its pulse."""

import json
import os
import subprocess
import sys

import pytest

from gauntlet import claim
from gauntlet.claim import Claim
from gauntlet.errors import GauntletError


def _left(folder, **change):
    """Write the claim that another launcher has left."""
    path = folder / claim.FILE
    path.parent.mkdir(exist_ok=True)
    record = {"host": "elsewhere", "pid": 1, "started": "1", "boot": "b", "token": "t", "beat": 1}
    path.write_text(json.dumps(record | change))
    return path


def test_a_claim_is_taken_once_and_given_back(tmp_path):
    with Claim(str(tmp_path)):
        with pytest.raises(GauntletError, match=f"process {os.getpid()} on "), Claim(str(tmp_path)):
            pass
        assert (tmp_path / claim.FILE).exists()
    assert not (tmp_path / claim.FILE).exists()
    with Claim(str(tmp_path)):
        pass


def test_what_a_killed_launcher_left_is_taken_over(tmp_path):
    code = f"import os; from gauntlet.claim import Claim; Claim({str(tmp_path)!r}).__enter__()"
    library = os.path.dirname(os.path.dirname(claim.__file__))
    environment = {**os.environ, "PYTHONPATH": library}
    subprocess.run([sys.executable, "-c", code + "; os._exit(9)"], env=environment)
    assert claim.read(tmp_path / claim.FILE)["pid"] != os.getpid()
    with Claim(str(tmp_path)):
        assert claim.read(tmp_path / claim.FILE)["pid"] == os.getpid()


def test_a_process_that_has_the_number_of_another_is_not_that_one(tmp_path):
    with Claim(str(tmp_path)):
        record = claim.read(tmp_path / claim.FILE)
    assert claim.lives(record)
    assert not claim.lives(record | {"started": "1"})
    assert not claim.lives(record | {"boot": "an earlier one"})


def test_a_launcher_elsewhere_without_a_pulse_is_gone(tmp_path):
    _left(tmp_path)
    with Claim(str(tmp_path), watch=0.2, pause=0.05):
        assert claim.read(tmp_path / claim.FILE)["pid"] == os.getpid()


def test_a_launcher_elsewhere_with_a_pulse_is_left_alone(tmp_path, monkeypatch):
    _left(tmp_path)
    monkeypatch.setattr(claim.time, "sleep", lambda _: _left(tmp_path, beat=2))
    with pytest.raises(GauntletError, match="process 1 on elsewhere"), Claim(str(tmp_path)):
        pass
    assert claim.read(tmp_path / claim.FILE)["beat"] == 2


@pytest.mark.parametrize("text", ["", "[]", "{", '{"host": "x"}', "7"])
def test_a_broken_claim_is_none(tmp_path, text):
    _left(tmp_path).write_text(text)
    with Claim(str(tmp_path)):
        pass


def test_the_pulse_beats_no_more_often_than_it_should(tmp_path):
    with Claim(str(tmp_path)) as held:
        held.beat()
        assert claim.read(tmp_path / claim.FILE)["beat"] == 1
        held.beat(at_once=True)
        assert claim.read(tmp_path / claim.FILE)["beat"] == 2
