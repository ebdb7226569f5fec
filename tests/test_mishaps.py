"""What the machine does to jobs: a full disk, a folder that cannot be written, a damaged file."""

import errno
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from gauntlet import job, parentage, scratch, store
from gauntlet.mishaps import sentence
from gauntlet.provenance import damaged

LIBRARY = Path(job.__file__).parents[1]


@pytest.fixture(autouse=True)
def _as_before(monkeypatch, tmp_path):
    log, handler = logging.getLogger("gauntlet"), signal.getsignal(signal.SIGTERM)
    before = log.handlers[:], log.level, log.propagate
    monkeypatch.setenv(store.PLACE, "off")
    monkeypatch.chdir(tmp_path)
    yield
    signal.signal(signal.SIGTERM, handler)
    log.handlers[:], log.level, log.propagate = before


def _task(folder="out", source="source.npy") -> dict:
    Path(folder).mkdir(exist_ok=True)
    np.save("source.npy", np.arange(10.0))
    return {
        "rule": "make_array",
        "gpus": 0,
        "stage": "make_array",
        "inputs": {"source": source},
        "outputs": {"array": f"{folder}/a.npy", "provenance": f"{folder}/a.provenance.json"},
        "params": {"spec": {"size": 4}, "code": "c"},
        "log": "logs/make.log",
    }


def _make(source, array, *, spec):
    np.save(array, np.resize(np.load(source), (spec["size"], 1000)))


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no small file system can be made here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("place", ["outputs", "scratch", "kept", "log", "store"])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(place, small_disk, monkeypatch, capsys):
    task = _task(str(small_disk / "out") if place == "outputs" else "out")
    task["params"]["spec"]["size"] = 400  # 3.2 MB
    stage = _make
    if place == "scratch":
        monkeypatch.setenv(scratch.PLACE, str(small_disk))
    elif place == "store":
        monkeypatch.setenv(store.PLACE, str(small_disk))
    elif place == "log":
        task["log"] = str(small_disk / "make.log")
        _fill(small_disk)
    elif place == "kept":
        monkeypatch.setattr(job, "KEPT", str(small_disk))

        def stage(source, array, *, spec, keep):
            (keep / "pool").write_bytes(bytes(2 << 20))

    code = job.perform(stage, task)
    told = capsys.readouterr().err
    if place in ("log", "store"):  # neither is needed for a right result
        assert code == 0 and np.load("out/a.npy").shape == (400, 1000)
        assert place == "log" or "not stored" in told
        return
    assert code == 1 and "no space is left" in told and "Traceback" not in told
    assert len(told.strip().splitlines()) == 1 and "make_array" in told
    assert not [path for path in small_disk.rglob("*") if path.is_file() and path.suffix == ".npy"]
    assert place == "outputs" or os.listdir("out") == []


def _fill(folder: Path) -> None:
    with open(folder / "filler", "wb", buffering=0) as stream:
        try:
            while stream.write(bytes(1 << 16)):
                pass
        except OSError as error:
            assert error.errno == errno.ENOSPC


def test_a_folder_that_cannot_be_written_is_one_sentence(small_disk, capsys):
    task = _task(str(small_disk / "out"))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert job.perform(_make, task) == 1
    told = capsys.readouterr().err
    assert "read-only file system" in told and str(small_disk) in told
    assert len(told.strip().splitlines()) == 1


def test_a_file_that_disappears_is_one_sentence(capsys):
    task = _task()

    def stage(source, array, *, spec):
        os.remove(source)
        _make(source, array, spec=spec)

    assert job.perform(stage, task) == 1
    told = capsys.readouterr().err
    assert "source.npy has gone" in told and len(told.strip().splitlines()) == 1
    assert job.perform(_make, task) == 1, "nor is it there at the start"
    assert "source.npy has gone" in capsys.readouterr().err


def test_another_error_of_the_system_is_no_sentence_of_ours():
    assert sentence(OSError(errno.ECONNRESET, "reset"), _task()) is None


def test_a_training_whose_checkpoint_finds_no_room_says_so(small_disk):
    import tiny
    from gauntlet import training

    _fill(small_disk)
    with pytest.raises(OSError) as told:
        training.fit(
            tiny.model(), tiny.spec(), tiny.part(50), tiny.part(24, 1), keep=small_disk / "keep"
        )
    assert "no space is left" in sentence(told.value, _task())


DAMAGES = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "emptied": lambda path: path.write_bytes(b""),
    "one bit": lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\x01"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_result_is_found_by_its_hash_not_its_time(damage, capsys):
    assert job.perform(_make, _task()) == 0
    result, before = Path("out/a.npy"), os.stat("out/a.npy")
    DAMAGES[damage](result)
    os.utime(result, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert job.perform(_make, _task("below", source="out/a.npy")) == 1
    told = capsys.readouterr().err
    assert "out/a.npy is not what a.provenance.json says was written" in told
    assert not Path("below/a.npy").exists()
    assert list(damaged([Path("out/a.provenance.json")])) == ["out/a.npy"]


def test_verify_names_and_removes_what_is_damaged():
    assert job.perform(_make, _task("results")) == 0
    command = [sys.executable, "-m", "gauntlet.verify"]

    def verify(*more):
        environment = os.environ | {"PYTHONPATH": str(LIBRARY)}
        return subprocess.run([*command, *more], env=environment, capture_output=True, text=True)

    assert (verify().returncode, "0 damaged" in verify().stdout) == (0, True)
    Path("results/a.npy").write_bytes(b"cut")
    told = verify()
    assert told.returncode == 1 and "results/a.npy is not what" in told.stdout
    assert verify("--remove").returncode == 0 and not Path("results/a.npy").exists()
    assert verify().returncode == 0


def test_outputs_grow_on_a_nodes_own_disk(monkeypatch, tmp_path):
    place, seen = tmp_path / "own", []
    monkeypatch.setenv(scratch.PLACE, str(place))

    def stage(source, array, *, spec):
        _make(source, array, spec=spec)
        seen.append(Path(array))
        Path(array).with_name("beside.txt").write_text("found on the way")
        assert not [name for name in os.listdir("out") if name.endswith(".npy")]

    assert job.perform(stage, _task()) == 0
    assert seen[0].is_relative_to(place) and os.listdir(place) == []
    assert sorted(os.listdir("out")) == ["a.npy", "a.provenance.json", "beside.txt"]
    assert damaged([Path("out/a.provenance.json")]) == {}


def test_a_failed_job_leaves_nothing_on_the_nodes_disk(monkeypatch, tmp_path):
    monkeypatch.setenv(scratch.PLACE, str(tmp_path / "own"))

    def stage(source, array, *, spec):
        _make(source, array, spec=spec)
        Path(array).with_name("last_good.pt").write_text("what was good before")
        raise ValueError("no")

    assert job.perform(stage, _task()) == 1
    assert os.listdir(tmp_path / "own") == [] and os.listdir("out") == ["last_good.pt"]


SCRIPT = """
import json, os, sys, time
from pathlib import Path
from gauntlet import job, parentage
if len(sys.argv) == 3:
    import subprocess
    parentage.announce()
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
    command = [sys.executable, str(tmp_path / "script.py"), json.dumps(_task()), "parent"]
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
    monkeypatch.setenv(parentage.NAME, "999999999:1")
    monkeypatch.setattr(parentage, "end_with_parent", lambda: None)
    assert job.perform(_make, _task()) == 1
    assert os.listdir("out") == [] and "is gone" in capsys.readouterr().err


def test_a_number_that_another_process_has_by_now_is_not_the_parent(monkeypatch):
    monkeypatch.setenv(parentage.NAME, f"{os.getppid()}:1")
    assert not parentage.lives()
    parentage.announce()
    assert parentage.lives()
    monkeypatch.delenv(parentage.NAME)
    assert parentage.lives()


def test_two_copies_of_one_job_do_no_harm(tmp_path):
    """Both resume from and remove the same kept folder, and both end with the same bytes."""
    code = """
import json, sys, time
from pathlib import Path
from gauntlet import job, pools
import torch
def stage(source, array, *, spec, keep):
    parts = []
    for number in range(12):
        found = pools.resumed(keep, number, ["x"]) or {"x": torch.full((4,), float(number))}
        pools.save(keep, number, found)
        parts.append(found["x"])
        time.sleep(0.02 * (1 + number % 3))
    Path(array).write_bytes(torch.cat(parts).numpy().tobytes())
sys.exit(job.perform(stage, json.loads(sys.argv[1])))
"""
    (tmp_path / "script.py").write_text(code)
    environment = os.environ | {"PYTHONPATH": str(LIBRARY)}
    task = _task()
    command = [sys.executable, str(tmp_path / "script.py"), json.dumps(task)]
    jobs = []
    for _ in range(4):
        jobs.append(subprocess.Popen(command, env=environment))
        time.sleep(0.25)
    assert [one.wait(240) for one in jobs] == [0] * 4
    expected = np.repeat(np.arange(12, dtype=np.float32), 4).tobytes()
    assert Path("out/a.npy").read_bytes() == expected
    assert sorted(os.listdir("out")) == ["a.npy", "a.provenance.json"]
