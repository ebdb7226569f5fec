"""Trainings that a job shares among processes of torchrun's: stopped, broken, orphaned."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import torch

from tests.helpers import tiny, together

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")

LONG = tiny.spec(epochs=40, devices=2)
JOB = """
import json, logging, sys
sys.path[:0] = json.loads(sys.argv[1])
from pathlib import Path
import torch
from gauntlet.core import signals
from gauntlet.core.errors import GauntletError
from train_model import train_model
logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
torch.set_num_threads(1)
signals.end_on_signals()
files, outputs, keep, spec, start = json.loads(sys.argv[2])
try:
    train_model(*files, start, [], [], [], [], *outputs, spec=spec, keep=Path(keep))
except GauntletError as error:
    print("SENTENCE", error, file=sys.stderr)
    sys.exit(7)
"""
OUTPUTS = ("best.pt", "last.pt", "history.csv", "train.json")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return tiny.data_files(tmp_path_factory.mktemp("data"), 110, 75)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, files):
    named = dict(zip(("images", "labels", "meta", "split"), files, strict=True))
    plan = [
        named | {"start": [], "crafted": [], "teacher": [], "extra": [], "pretrained": []},
        LONG,
    ]
    return together.run(tmp_path_factory.mktemp("group") / "two", 2, [], plan)[0]["files"]


class Job:
    """A job that trains in two processes, in a process of its own."""

    def __init__(self, root: Path, files, spec, start=()):
        self.root, self.keep, self.work = root, root / "keep", tempfile.mkdtemp(dir="/tmp")
        self.keep.mkdir(exist_ok=True)
        self.outputs = [root / name for name in OUTPUTS]
        printed = [files, [str(path) for path in self.outputs], str(self.keep), spec, list(start)]
        self.before = self._saved()
        self.log = open(root / "log", "w+")  # noqa: SIM115
        command = [sys.executable, "-c", JOB, json.dumps(sys.path), json.dumps(printed)]
        own = {"TMPDIR": self.work}
        self.process = subprocess.Popen(command, env=os.environ | own, stderr=self.log)

    def _saved(self):
        path = self.keep / "checkpoint.pt"
        return path.stat().st_mtime_ns if path.exists() else None

    def until_it_saves(self):
        end = time.monotonic() + 300
        while self._saved() == self.before and time.monotonic() < end:
            assert self.process.poll() is None, self.printed()
            time.sleep(0.02)
        return self

    def printed(self):
        self.log.seek(0)
        return self.log.read()

    def end(self):
        return self.process.wait(300)

    def left(self, seconds=0.0):
        """Name the processes that are left; waits some time for none."""
        end = time.monotonic() + seconds
        while (found := list(self._left())) and time.monotonic() < end:
            time.sleep(0.05)
        return found

    def _left(self):
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes()
            except OSError:
                continue
            if self.work.encode() in words:
                yield int(path.parent.name), b"torch.distributed.run" in words

    def close(self):
        self.process.kill()
        self.process.wait()
        self.log.close()
        left = self.left(30)
        shutil.rmtree(self.work, ignore_errors=True)
        assert not left


@pytest.fixture
def job(tmp_path, files):
    jobs = []

    def begin(*given, **named):
        jobs.append(Job(tmp_path, files, *given, **named))
        return jobs[-1]

    yield begin
    for one in jobs:
        one.close()


@pytest.mark.slow
def test_stopped_broken_and_orphaned_it_ends_with_the_same_bytes(job, undisturbed):
    stopped = job(LONG).until_it_saves()
    for number in [stopped.process.pid, *(number for number, _ in stopped.left())]:
        os.kill(number, signal.SIGUSR1)  # as a scheduler may: to all processes of a job
    assert stopped.end() == 128 + signal.SIGUSR1 and not stopped.left(10)
    assert "what is trained is saved" in stopped.printed()

    broken = job(LONG).until_it_saves()
    worker = next(number for number, starter in broken.left() if not starter)
    os.kill(worker, signal.SIGKILL)
    assert broken.end() == 1 and "it was killed (out of memory?)" in broken.printed()

    orphaned = job(LONG).until_it_saves()
    orphaned.process.kill()
    orphaned.process.wait()
    assert orphaned.left() and not orphaned.left(60)

    last = job(LONG)
    assert last.end() == 0, last.printed()
    assert (
        "goes on in epoch" in last.printed()
        and "gauntlet.core.progress: epoch 40/40" in last.printed()
    )
    wanted = undisturbed
    for name, path in zip(("best", "last"), last.outputs, strict=False):
        state = torch.load(path, weights_only=True)
        assert all(torch.equal(state[key], value) for key, value in wanted[name].items())
    rows = list(csv.DictReader(last.outputs[2].open()))
    assert [float(row["train_loss"]) for row in rows] == [
        row["train_loss"] for row in wanted["history"]
    ]


def test_what_a_user_can_mend_is_one_sentence(job, tmp_path):
    bad = tmp_path / "weights.pt"
    bad.write_text("no weights")
    failed = job(tiny.spec(devices=2), start=[str(bad)])
    assert failed.end() == 7
    (printed,) = failed.printed().splitlines()
    assert printed.startswith(f"SENTENCE {bad} is no readable file of weights")
