"""What the machine does to jobs: a full disk, a folder that cannot be written, a damaged file."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gauntlet.runtime import job, scratch, store
from gauntlet.runtime.os_errors import sentence
from gauntlet.runtime.provenance import damaged
from tests.helpers.arrays import array_task, make_array, own_process
from tests.helpers.places import LIBRARY


@pytest.fixture(autouse=True)
def _as_before(monkeypatch, tmp_path):
    with own_process(monkeypatch, tmp_path):
        yield


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
    task = array_task(str(small_disk / "out") if place == "outputs" else "out")
    task["params"]["spec"]["size"] = 400  # 3.2 MB
    stage = make_array
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
    message = capsys.readouterr().err
    if place in ("log", "store"):  # neither is needed for a right result
        assert code == 0 and np.load("out/a.npy").shape == (400, 1000)
        assert place == "log" or "not stored" in message
        return
    assert code == 1 and "no space is left" in message and "Traceback" not in message
    assert len(message.strip().splitlines()) == 1 and "make_array" in message
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
    task = array_task(str(small_disk / "out"))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert job.perform(make_array, task) == 1
    message = capsys.readouterr().err
    assert "read-only file system" in message and str(small_disk) in message
    assert len(message.strip().splitlines()) == 1


def test_a_file_that_disappears_is_one_sentence(capsys):
    task = array_task()

    def stage(source, array, *, spec):
        os.remove(source)
        make_array(source, array, spec=spec)

    assert job.perform(stage, task) == 1
    message = capsys.readouterr().err
    assert "source.npy was removed" in message and len(message.strip().splitlines()) == 1
    assert job.perform(make_array, task) == 1, "nor is it there at the start"
    assert "source.npy was removed" in capsys.readouterr().err


def test_another_error_of_the_system_is_no_sentence_of_ours():
    assert sentence(OSError(errno.ECONNRESET, "reset"), array_task()) is None


def test_a_training_whose_checkpoint_finds_no_room_says_so(small_disk):
    from gauntlet.training import loop
    from tests.helpers import tiny

    _fill(small_disk)
    with pytest.raises(OSError) as message:
        loop.fit(
            tiny.model(), tiny.spec(), tiny.part(50), tiny.part(24, 1), keep=small_disk / "keep"
        )
    assert "no space is left" in sentence(message.value, array_task())


DAMAGES = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "emptied": lambda path: path.write_bytes(b""),
    "one bit": lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\x01"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_result_is_found_by_its_hash_not_its_time(damage, capsys):
    assert job.perform(make_array, array_task()) == 0
    result, before = Path("out/a.npy"), os.stat("out/a.npy")
    DAMAGES[damage](result)
    os.utime(result, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert job.perform(make_array, array_task("below", source="out/a.npy")) == 1
    message = capsys.readouterr().err
    assert "out/a.npy is not what a.provenance.json says was written" in message
    assert not Path("below/a.npy").exists()
    assert list(damaged([Path("out/a.provenance.json")])) == ["out/a.npy"]


def test_verify_names_and_removes_what_is_damaged():
    assert job.perform(make_array, array_task("results")) == 0
    command = [sys.executable, "-m", "gauntlet.runtime.verify"]

    def verify(*more):
        environment = os.environ | {"PYTHONPATH": str(LIBRARY)}
        return subprocess.run([*command, *more], env=environment, capture_output=True, text=True)

    assert (verify().returncode, "0 damaged" in verify().stdout) == (0, True)
    Path("results/a.npy").write_bytes(b"cut")
    message = verify()
    assert message.returncode == 1 and "results/a.npy is not what" in message.stdout
    assert verify("--remove").returncode == 0 and not Path("results/a.npy").exists()
    assert verify().returncode == 0


def test_outputs_grow_on_a_nodes_own_disk(monkeypatch, tmp_path):
    place, seen = tmp_path / "own", []
    monkeypatch.setenv(scratch.PLACE, str(place))

    def stage(source, array, *, spec):
        make_array(source, array, spec=spec)
        seen.append(Path(array))
        Path(array).with_name("beside.txt").write_text("found on the way")
        assert not [name for name in os.listdir("out") if name.endswith(".npy")]

    assert job.perform(stage, array_task()) == 0
    assert seen[0].is_relative_to(place) and os.listdir(place) == []
    assert sorted(os.listdir("out")) == ["a.npy", "a.provenance.json", "beside.txt"]
    assert damaged([Path("out/a.provenance.json")]) == {}


def test_a_failed_job_leaves_nothing_on_the_nodes_disk(monkeypatch, tmp_path):
    monkeypatch.setenv(scratch.PLACE, str(tmp_path / "own"))

    def stage(source, array, *, spec):
        make_array(source, array, spec=spec)
        Path(array).with_name("last_good.pt").write_text("what was good before")
        raise ValueError("no")

    assert job.perform(stage, array_task()) == 1
    assert os.listdir(tmp_path / "own") == [] and os.listdir("out") == ["last_good.pt"]
