"""Leases of GPUs: real processes, with a stand-in for nvidia-smi."""

import os
import select
import subprocess

import pytest

from gauntlet.core.errors import GauntletError
from gauntlet.runtime import gpu_leases
from gauntlet.study import code_hash
from tests.helpers.machines import CUDA, SCHEDULED, Machine, end, said, uuids


@pytest.fixture
def machine(tmp_path):
    made = Machine(tmp_path)
    yield made
    for job in made.jobs:
        subprocess.run(["kill", "-9", "--", f"-{job.pid}"], stderr=subprocess.DEVNULL)
        job.wait()


def test_four_jobs_have_four_devices_and_a_fifth_waits(machine):
    jobs = [machine.job() for _ in range(4)]
    devices = {job: said(job) for job in jobs}
    assert sorted(devices.values()) == [uuids(n) for n in range(4)]
    fifth = machine.job()
    waits = "waits for 1 GPU: leased by other jobs: GPU 0, GPU 1, GPU 2, GPU 3"
    assert machine.tells(4, waits) and said(fifth, 0.3) is None
    end(jobs[2])
    assert said(fifth) == devices[jobs[2]]


def test_the_lease_of_a_killed_job_is_free_though_its_children_live(machine):
    for spawn in ("exec", "fork"):
        machine.use(0)
        job = machine.job(spawn=[spawn])
        assert said(job) == uuids(0)
        job.kill()
        job.wait()
        second = machine.job()
        assert said(second) == uuids(0)
        end(second)


def test_two_workflows_do_not_collide(machine, tmp_path):
    homes = [tmp_path / name for name in ("one", "two")]
    for home in homes:
        home.mkdir()
    jobs = [machine.job(2, cwd=home) for home in homes]
    chosen = [said(job).split(",") for job in jobs]
    assert all(len(devices) == 2 for devices in chosen)
    assert len({*chosen[0], *chosen[1]}) == 4


def test_several_devices_are_had_all_or_none(machine):
    one = machine.job()
    assert said(one) == uuids(0)
    four, three = machine.job(4), None
    assert said(four, 0.5) is None
    three = machine.job(3)  # what the waiting job has not got, others may have
    assert said(three) == uuids(1, 2, 3)
    end(three)
    end(one)
    assert said(four) == uuids(0, 1, 2, 3)


@pytest.mark.parametrize(
    ("visible", "gpus", "devices"),
    [
        ("2,3", 1, uuids(2)),
        ("3,1", 2, uuids(3, 1)),
        ("GPU-0003,0", 1, uuids(3)),
        ("2,-1,3", 1, uuids(2)),
        ("MIG-x/1,MIG-x/2", 1, "MIG-x/1"),
        ("MIG-x/1", 1, "MIG-x/1"),
        ("7", 1, "7"),
    ],
)
def test_what_is_visible_limits_the_choice(machine, visible, gpus, devices):
    assert said(machine.job(gpus, CUDA_VISIBLE_DEVICES=visible)) == devices


def test_what_a_scheduler_assigned_needs_no_lease(machine):
    """On a node both jobs see a card that they call 0."""
    for job in ("1", "2"):
        given = machine.job(CUDA_VISIBLE_DEVICES="0", SLURM_JOB_ID=job)
        assert said(given) == "0"
    machine.program.unlink()
    empty = str(machine.program.parent)  # an allocation of two for jobs of one, nothing told
    for job in ("1", "2"):
        named = {"CUDA_VISIBLE_DEVICES": "0,1", "SLURM_JOB_ID": job, "PATH": empty}
        assert [said(machine.job(**named)) for _ in range(2)] == ["0", "1"]


def test_two_workflows_with_the_same_visible_device_take_turns(machine):
    jobs = [machine.job(CUDA_VISIBLE_DEVICES="1") for _ in range(2)]
    (ready, *_), _, _ = select.select([job.stdout for job in jobs], [], [], 60)
    first, second = jobs if ready is jobs[0].stdout else jobs[::-1]
    assert said(first) == uuids(1)
    assert machine.tells(jobs.index(second), "leased by other jobs") and said(second, 0.3) is None
    end(first)
    assert said(second) == uuids(1)


def test_memory_in_use_by_others_is_seen(machine):
    machine.use(300, 900, 20, 10)
    assert [said(machine.job()) for _ in range(3)] == [uuids(3), uuids(2), uuids(0)]
    waiting = machine.job()
    assert machine.tells(3, "in use by others: GPU 1 (900 of 1000 MB)")
    assert said(waiting, 0.3) is None
    machine.use(300, 400, 20, 10)
    assert said(waiting) == uuids(1)


def test_devices_that_stay_in_use_end_in_one_sentence(machine):
    machine.use(700, 900)
    printed = said(machine.job(patience=0.2))
    assert printed.startswith(
        "This job needs 1 GPU, but others use them: GPU 0 (700 of 1000 MB), GPU"
    )
    assert "less than 50%" in printed
    machine.use(700, 0)  # one that is leased is waited for, without a limit
    holder = machine.job()
    assert said(holder) == uuids(1)
    waiting = machine.job(2, patience=0.2)
    assert machine.tells(2, "leased by other jobs: GPU 1") and said(waiting, 0.5) is None
    end(holder)
    assert "needs 2 GPUs, but others use them: GPU 0" in said(waiting)


@pytest.mark.parametrize(
    ("gpus", "environment", "message"),
    [
        (5, {}, "needs gpu: 5, but there are 4 GPUs on this machine"),
        (2, {"CUDA_VISIBLE_DEVICES": "3"}, "there are 1 GPUs in CUDA_VISIBLE_DEVICES ('3')"),
        (1, {"CUDA_VISIBLE_DEVICES": ""}, "there are 0 GPUs in CUDA_VISIBLE_DEVICES ('')"),
        (1, {"CUDA_VISIBLE_DEVICES": "-1"}, "there are 0 GPUs in CUDA_VISIBLE_DEVICES ('-1')"),
    ],
)
def test_more_than_there_are_end_in_one_sentence(machine, gpus, environment, message):
    assert message in said(machine.job(gpus, **environment))


def _leased(count):
    with gpu_leases.leased(count) as devices:
        return devices, {name: os.environ.get(name) for name in CUDA}


def test_the_environment_is_as_before(machine, monkeypatch, tmp_path):
    monkeypatch.setattr(gpu_leases, "FOLDER", str(tmp_path / "own"))
    for name in (*SCHEDULED, *CUDA):
        monkeypatch.delenv(name, raising=False)
    assert _leased(0) == ([], dict.fromkeys(CUDA))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _leased(1) == ([], dict.fromkeys(CUDA))  # no inventory: nothing to lease
    monkeypatch.setenv("PATH", f"{machine.program.parent}:/usr/bin:/bin")
    inside = {"CUDA_VISIBLE_DEVICES": uuids(0), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert _leased(1) == ([uuids(0)], inside)
    assert not any(name in os.environ for name in CUDA) and not gpu_leases.HELD
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert _leased(1)[0] == [uuids(2)] and os.environ["CUDA_VISIBLE_DEVICES"] == "2,3"
    machine.program.write_text("#!/bin/sh\necho no driver >&2\nexit 9\n")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert _leased(1) == ([], dict.fromkeys(CUDA))


def test_locks_are_everybodys_and_follow_no_links(machine, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", f"{machine.program.parent}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    folder = tmp_path / "own"
    monkeypatch.setattr(gpu_leases, "FOLDER", str(folder))
    mask = os.umask(0o077)
    try:
        _leased(2)
    finally:
        os.umask(mask)
    assert folder.stat().st_mode & 0o7777 == 0o1777
    locks = sorted(folder.iterdir())
    assert [path.name for path in locks][0] == "device-GPU-0000-aa" and len(locks) == 5
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in locks)
    locks[0].unlink()
    locks[0].symlink_to(tmp_path / "victim")
    with pytest.raises(GauntletError, match="cannot be used for leases of GPUs"):
        _leased(1)
    locks[0].unlink()
    os.mkfifo(locks[0])
    with pytest.raises(GauntletError, match="no plain file"):
        _leased(1)
    assert not (tmp_path / "victim").exists() and not gpu_leases.HELD
    monkeypatch.setattr(gpu_leases, "FOLDER", str(tmp_path / "link"))
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(GauntletError, match="let its owner remove it"):
        _leased(1)


def test_leases_decide_no_result():
    assert {
        "gauntlet.runtime.gpu_leases",
        "gauntlet.runtime.gpu_inventory",
    } <= code_hash.IGNORED_MODULES
