"""Processes that share a training: what one process gives, whole or not at all."""

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

import snakes
import tiny
import together
from gauntlet import launching
from gauntlet.errors import GauntletError
from gauntlet.seeding import Shared, generator, normal_like
from gauntlet.team import Alone
from gauntlet.training import NonFiniteLoss, Outcome

SMOOTH = [*tiny.DEFENSES, "ramp"]  # no batch norm, which makes of a last bit what it likes
TWO = [*SMOOTH, "normed", "bfloat16", "dropout"]
LONG = tiny.spec(epochs=150, devices=2)
JOB = """
import json, logging, sys
sys.path[:0] = json.loads(sys.argv[1])
from pathlib import Path
import torch
from gauntlet import stopping
from gauntlet.errors import GauntletError
from train_model import train_model
logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
torch.set_num_threads(1)
stopping.end_on_signals()
files, outputs, keep, spec, start = json.loads(sys.argv[2])
try:
    train_model(*files, start, [], *outputs, spec=spec, keep=Path(keep))
except GauntletError as error:
    print("SENTENCE", error, file=sys.stderr)
    sys.exit(7)
"""
OUTPUTS = ("best.pt", "last.pt", "history.csv", "train.json")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return tiny.data_files(tmp_path_factory.mktemp("data"), 110, 75)


@pytest.fixture(scope="module")
def two(tmp_path_factory, files):
    named = dict(zip(("images", "labels", "meta", "split"), files, strict=True))
    plan = [named | {"start": [], "crafted": []}, LONG]
    return together.run(tmp_path_factory.mktemp("group") / "two", 2, TWO, plan)


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    return together.run(tmp_path_factory.mktemp("group") / "three", 3, ["trades", "dropout"])


def _same(first, second):
    assert first["history"] == second["history"] and first["best_epoch"] == second["best_epoch"]
    for name in ("best", "last"):
        assert first[name].keys() == second[name].keys()
        assert all(torch.equal(first[name][key], second[name][key]) for key in first[name])


def _close(shared, one):
    for ours, theirs in zip(shared["history"], one["history"], strict=True):
        assert ours["train_loss"] == pytest.approx(theirs["train_loss"], abs=1e-5)
        for key in (key for key in ours if key.startswith("validation")):
            assert ours[key] == pytest.approx(theirs[key], abs=1.5 / 25), key
    for name, value in one["last"].items():
        assert torch.allclose(shared["last"][name], value, atol=1e-5), name


@pytest.mark.parametrize("case", SMOOTH)
def test_two_processes_train_as_one_does(two, case):
    _close(two[0][case], vars(together.fit(case)))


def test_so_do_three(three):
    _close(three[0]["trades"], vars(together.fit("trades")))


def test_all_processes_have_the_same_model(two, three):
    for group in (two, three):
        for case in group[0].keys() & together.CASES.keys():
            for other in group[1:]:
                _same(group[0][case], other[case])


@pytest.mark.parametrize("count", [2, 33])
def test_batch_norm_has_the_whole_batch_in_each_process(two, three, count):
    """Of three processes one has no image of a batch of two."""
    one = together.gradients(Alone(), count)
    for found in (*two, *three):
        shared = found[f"gradients {count}"]
        assert shared.keys() == one.keys()
        for name, value in one.items():
            assert torch.allclose(shared[name], value, rtol=1e-9, atol=1e-10), name


def test_each_process_drops_out_units_of_its_own(two, three):
    losses = [found[0]["dropout"]["history"][0]["train_loss"] for found in (two, three)]
    assert len({*losses, vars(together.fit("dropout"))["history"][0]["train_loss"]}) == 3


@pytest.mark.parametrize("case", ["normed", "dropout"])
def test_stopped_again_and_again_it_ends_with_the_same_bytes(two, three, case):
    for group in (two, three) if case in three[0] else (two,):
        assert group[0][f"{case} stops"] >= 3
        _same(group[0][f"{case} again"], group[0][case])


def test_a_part_draws_its_rows_of_what_the_batch_draws():
    whole = normal_like(torch.zeros(10, 3), generator(0, "x"))
    stream = Shared(generator(0, "x"), slice(4, 7), 10)
    assert torch.equal(normal_like(torch.zeros(3, 3), stream), whole[4:7])
    with pytest.raises(ValueError, match="2 images draw where the batch's part has 3"):
        normal_like(torch.zeros(2, 3), stream)


class Job:
    """A job that trains in two processes, in a process of its own."""

    def __init__(self, root: Path, files, spec, start=()):
        self.root, self.keep, self.work = root, root / "keep", tempfile.mkdtemp(dir="/tmp")
        self.keep.mkdir(exist_ok=True)
        self.outputs = [root / name for name in OUTPUTS]
        told = [files, [str(path) for path in self.outputs], str(self.keep), spec, list(start)]
        self.before = self._saved()
        self.log = open(root / "log", "w+")  # noqa: SIM115
        command = [sys.executable, "-c", JOB, json.dumps(sys.path), json.dumps(told)]
        own = {"TMPDIR": self.work}
        self.process = subprocess.Popen(command, env=os.environ | own, stderr=self.log)

    def _saved(self):
        path = self.keep / "checkpoint.pt"
        return path.stat().st_mtime_ns if path.exists() else None

    def until_it_saves(self):
        end = time.monotonic() + 120
        while self._saved() == self.before and time.monotonic() < end:
            assert self.process.poll() is None, self.told()
            time.sleep(0.02)
        return self

    def told(self):
        self.log.seek(0)
        return self.log.read()

    def end(self):
        return self.process.wait(120)

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


def test_stopped_broken_and_orphaned_it_ends_with_the_same_bytes(job, two):
    stopped = job(LONG).until_it_saves()
    stopped.process.send_signal(signal.SIGUSR1)
    assert stopped.end() == 128 + signal.SIGUSR1 and not stopped.left(10)
    assert "what is trained is saved" in stopped.told()

    broken = job(LONG).until_it_saves()
    worker = next(number for number, starter in broken.left() if not starter)
    os.kill(worker, signal.SIGKILL)
    assert broken.end() == 1 and "it was killed (out of memory?)" in broken.told()

    orphaned = job(LONG).until_it_saves()
    orphaned.process.kill()
    orphaned.process.wait()
    assert orphaned.left() and not orphaned.left(60)

    last = job(LONG)
    assert last.end() == 0, last.told()
    assert "goes on in epoch" in last.told() and "gauntlet.progress: epoch 150/150" in last.told()
    wanted = two[0]["files"]
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
    (told,) = failed.told().splitlines()
    assert told.startswith(f"SENTENCE {bad} is no readable file of weights")


def test_a_loss_that_is_no_number_ends_all(job):
    failed = job(tiny.spec(devices=2, learning_rate=1e30))
    assert failed.end() == 7
    assert "SENTENCE The training loss is not finite in epoch 1;" in failed.told()


def test_results_of_all_kinds(tmp_path):
    good = Outcome(best={"w": torch.ones(2)}, history=[{"epoch": 1}], best_epoch=1)
    torch.save(vars(good), tmp_path / launching.OUTCOME)
    _same(vars(launching._result({"done": True, "rank": 0}, tmp_path)), vars(good))
    with pytest.raises(NonFiniteLoss, match="epoch 4") as caught:
        launching._result({"not_finite": 4, "rank": 0}, tmp_path)
    _same(vars(caught.value.outcome), vars(good))
    broken = {"failed": "KeyError: 1", "ours": False, "trace": "line 3", "rank": 1}
    with pytest.raises(RuntimeError, match="process 1 of a shared training: KeyError") as caught:
        launching._result(broken, tmp_path)
    assert caught.value.__notes__ == ["line 3"]


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_more_devices_than_the_job_has_are_refused(device, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    spec = tiny.spec(devices=2) | {"device": device}
    with pytest.raises(GauntletError, match=f"devices is 2, but this job has 1 of kind {device}"):
        launching.fit_shared({}, spec, None)


@pytest.mark.workflow
def test_a_dry_run_shows_gpus_and_threads(tmp_path):
    change = {"defenses": {"pgd_at": {"devices": 2}}, "compute": {"threads": 3}}
    home, shown = snakes.house(tmp_path / "house"), {}
    for device in ("cpu", "cuda"):
        study = snakes.merged(snakes.STUDY, change | {"compute": {"threads": 3, "device": device}})
        text = snakes.snakemake(home, "-n", "--resources", "gpu=8", study=study, cores=16)
        for block in text.split("\nrule ")[1:]:
            if block.startswith("train_model:"):
                defense = block.split("defense=")[1].split(",")[0]
                threads, gpus = (block.split(word)[1].split()[0] for word in ("threads:", "gpu="))
                shown[device, defense] = threads, gpus.rstrip(",")
    assert shown["cpu", "pgd_at"] == ("6", "0") and shown["cpu", "baseline"] == ("3", "0")
    assert shown["cuda", "pgd_at"] == ("6", "2") and shown["cuda", "baseline"] == ("3", "1")
