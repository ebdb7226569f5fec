"""Jobs end with their Snakemake; two copies of one job do no harm."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from gauntlet.runtime import job, parent_watch
from tests.helpers.arrays import array_task, make_array, own_process
from tests.helpers.places import LIBRARY


@pytest.fixture(autouse=True)
def _as_before(monkeypatch, tmp_path):
    with own_process(monkeypatch, tmp_path):
        yield


SCRIPT = """
import json, os, sys, time
from pathlib import Path
from gauntlet.runtime import job, parent_watch
if len(sys.argv) == 3:
    import subprocess
    parent_watch.announce()
    subprocess.Popen([sys.executable, __file__, sys.argv[1]])
    time.sleep(60)
def stage(source, array, *, spec):
    Path("begun").write_text(str(os.getpid()))
    time.sleep(spec.get("sleep", 30))
    Path(array).write_text("late")
sys.exit(job.perform(stage, json.loads(sys.argv[1])))
"""


def test_a_job_ends_with_the_snakemake_that_started_it(tmp_path):
    """Else a killed run's jobs, with older settings perhaps, write over the next run's results."""
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": str(LIBRARY)}
    command = [sys.executable, str(tmp_path / "script.py"), json.dumps(array_task()), "parent"]
    parent = subprocess.Popen(command, env=environment)
    end = time.monotonic() + 60
    while not Path("begun").exists() and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.3)
    child = int(Path("begun").read_text())
    assert os.path.exists(f"/proc/{child}")
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    end = time.monotonic() + 20
    while _runs(child) and time.monotonic() < end:
        time.sleep(0.05)
    assert not _runs(child) and os.listdir("out") == []


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_an_orphan_publishes_nothing(monkeypatch, capsys):
    monkeypatch.setenv(parent_watch.NAME, "999999999:1")
    monkeypatch.setattr(parent_watch, "end_with_parent", lambda: None)
    assert job.perform(make_array, array_task()) == 1
    assert os.listdir("out") == [] and "is gone" in capsys.readouterr().err


def test_a_watch_is_for_the_parent_of_its_start(monkeypatch):
    """A later change of the environment does not end the process; without a parent none watches."""
    ended, before = [], threading.active_count()
    monkeypatch.setattr(parent_watch, "EVERY", 0.01)
    monkeypatch.setattr(parent_watch.os, "kill", lambda *call: ended.append(call))
    monkeypatch.delenv(parent_watch.NAME, raising=False)
    parent_watch.end_with_parent()
    assert threading.active_count() == before
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as parent:
        monkeypatch.setenv(parent_watch.NAME, f"{parent.pid}:{parent_watch._started(parent.pid)}")
        parent_watch.end_with_parent()
        (watch,) = (one for one in threading.enumerate() if one.name.endswith("(_watch)"))
        monkeypatch.setenv(parent_watch.NAME, "999999999:1")
        time.sleep(0.2)
        assert watch.is_alive() and ended == []
    watch.join(60)
    assert ended == [(os.getpid(), signal.SIGTERM)]


def test_a_number_that_another_process_has_by_now_is_not_the_parent(monkeypatch):
    monkeypatch.setenv(parent_watch.NAME, f"{os.getppid()}:1")
    assert not parent_watch.lives()
    parent_watch.announce()
    assert parent_watch.lives()
    monkeypatch.delenv(parent_watch.NAME)
    assert parent_watch.lives()


@pytest.mark.slow
def test_two_copies_of_one_job_do_no_harm(tmp_path):
    """Both resume from and remove the same kept folder, and both end with the same bytes."""
    code = """
import json, sys, time
from pathlib import Path
from gauntlet.runtime import job
from gauntlet.stages import partial
import torch
def stage(source, array, *, spec, keep):
    parts = []
    for number in range(12):
        found = partial.resumed(keep, number, ["x"]) or {"x": torch.full((4,), float(number))}
        partial.save(keep, number, found)
        parts.append(found["x"])
        time.sleep(0.02 * (1 + number % 3))
    Path(array).write_bytes(torch.cat(parts).numpy().tobytes())
sys.exit(job.perform(stage, json.loads(sys.argv[1])))
"""
    (tmp_path / "script.py").write_text(code)
    environment = os.environ | {"PYTHONPATH": str(LIBRARY)}
    task = array_task()
    command = [sys.executable, str(tmp_path / "script.py"), json.dumps(task)]
    jobs = []
    for _ in range(4):
        jobs.append(subprocess.Popen(command, env=environment))
        time.sleep(0.25)
    assert [one.wait(240) for one in jobs] == [0] * 4
    expected = np.repeat(np.arange(12, dtype=np.float32), 4).tobytes()
    assert Path("out/a.npy").read_bytes() == expected
    assert sorted(os.listdir("out")) == ["a.npy", "a.provenance.json"]
