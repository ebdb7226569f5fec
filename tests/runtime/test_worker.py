"""The warm worker: jobs run in its children, and nothing of theirs hurts it."""

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from pathlib import Path

import pytest

from gauntlet.runtime import worker as warm
from tests.helpers.places import LIBRARY

STAGE = """
import time
from pathlib import Path

def stage(out, *, spec):
    import sys
    assert "torch" in sys.modules, "not warm"
    time.sleep(spec.get("sleep", 0))
    if spec.get("fail"):
        raise ValueError("on purpose")
    Path(out).write_text(str(spec["number"]))
"""
LAUNCH = """
import json, sys
from gauntlet.runtime import worker
code = worker.delegate("gauntlet.runtime.job:perform_file", json.loads(sys.argv[1]))
sys.exit(99 if code is None else code)
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the worker is for Linux")


@pytest.fixture(scope="module")
def worker():
    kept = {key: os.environ.pop(key) for key in (warm.ADDRESS,) if key in os.environ}
    process = warm.start()
    address, latest = Path(os.environ[warm.ADDRESS].rpartition(":")[2]), time.monotonic() + 300
    while not address.exists() and time.monotonic() < latest:  # a busy machine imports for long
        assert process.poll() is None
        time.sleep(0.05)
    yield process
    warm.stop(process)
    os.environ.update(kept)


@pytest.fixture
def launch(worker, tmp_path):
    (tmp_path / "stage.py").write_text(STAGE)

    def begin(number=0, **spec):
        import json

        task = {
            "script": str(tmp_path / "stage.py"),
            "stage": "stage",
            "rule": "stage",
            "gpus": 0,
            "inputs": {},
            "outputs": {"out": str(tmp_path / f"out{number}.txt")},
            "params": {"spec": {"number": number, **spec}, "code": "x"},
            "log": str(tmp_path / f"log{number}.txt"),
            "folder": str(tmp_path),
        }
        environment = {**os.environ, "PYTHONPATH": str(LIBRARY)}
        command = [sys.executable, "-c", LAUNCH, json.dumps(task)]
        return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)

    return begin


def test_many_jobs_at_once(launch, tmp_path):
    with ThreadPoolExecutor(6) as pool:
        codes = list(pool.map(lambda number: launch(number).wait(60), range(6)))
    assert codes == [0] * 6
    assert [(tmp_path / f"out{n}.txt").read_text() for n in range(6)] == list("012345")


def test_a_failure_is_told_and_the_worker_lives(launch, tmp_path):
    job = launch(1, fail=True)
    assert job.wait(60) == 1
    assert "on purpose" in job.stderr.read()
    assert "on purpose" in (tmp_path / "log1.txt").read_text()
    assert launch(2).wait(60) == 0


def test_a_killed_launcher_ends_its_job_and_the_worker_lives(launch, tmp_path):
    job = launch(3, sleep=30)
    while not (tmp_path / "log3.txt").exists():
        time.sleep(0.05)
    job.send_signal(signal.SIGKILL)
    job.wait(10)
    assert launch(4).wait(60) == 0
    time.sleep(0.3)
    assert not list(tmp_path.glob("*out3*"))
    assert not list(tmp_path.glob(".out3*"))


def test_without_a_worker_the_job_runs_by_itself(monkeypatch):
    monkeypatch.delenv(warm.ADDRESS, raising=False)
    assert warm.delegate("module:function", {}) is None
    monkeypatch.setenv(warm.ADDRESS, f"{sys.executable}:/nowhere/socket")
    assert warm.delegate("module:function", {}) is None


def test_a_worker_that_does_not_end_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(warm, "LEAVE", 0.2)
    monkeypatch.delenv(warm.ADDRESS, raising=False)
    folder = tmp_path / "own"
    folder.mkdir()
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True)"
    command = [sys.executable, "-c", deaf + "; time.sleep(60)", str(folder / "socket")]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE)
    worker.stdout.readline()
    warm.stop(worker)
    assert worker.returncode == -signal.SIGKILL and not folder.exists()


def test_the_workers_command_names_its_socket_where_it_is_looked_for(worker):
    address = os.environ[warm.ADDRESS].rpartition(":")[2]
    assert worker.args[warm.SOCKET] == address


def test_who_does_not_have_the_key_gets_no_job_and_the_worker_lives(worker, launch):
    address = os.environ[warm.ADDRESS].rpartition(":")[2]
    assert launch(5).wait(60) == 0
    with pytest.raises((AuthenticationError, EOFError)):
        Client(address, "AF_UNIX", authkey=b"another")
    with socket.socket(socket.AF_UNIX) as silent:  # one that connects and says nothing
        silent.connect(address)
        assert launch(6).wait(60) == 0


def test_only_the_user_can_reach_the_worker(worker):
    folder = Path(os.environ[warm.ADDRESS].rpartition(":")[2]).parent
    assert folder.stat().st_mode & 0o077 == 0


def test_the_worker_imports_no_module_of_the_library_but_its_own():
    code = "import sys; from gauntlet.runtime import worker; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=LIBRARY, capture_output=True, text=True, check=True
    )
    ours = {name for name in done.stdout.split() if name.split(".")[0] == "gauntlet"}
    assert ours == {"gauntlet", "gauntlet.runtime", "gauntlet.runtime.worker"}


def test_the_sockets_path_is_short_and_its_key_is_for_its_owner(monkeypatch, tmp_path):
    long = tmp_path / ("x" * 90)
    long.mkdir()
    for name in (warm.ADDRESS, "TMPDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(warm.tempfile, "tempdir", str(long))
    process = warm.start()
    folder = Path(os.environ[warm.ADDRESS].rpartition(":")[2]).parent
    try:
        assert (folder / warm.KEY).stat().st_mode & 0o077 == 0
        assert not any(long.iterdir()) and len(str(folder)) <= warm.LONGEST + 20
    finally:
        warm.stop(process)
