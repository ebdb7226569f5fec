"""Who works in a folder, told from commands, from /proc and from Snakemake's locks and logs."""

import os
import socket
import subprocess
import sys

import pytest

from gauntlet.core.errors import GauntletError
from gauntlet.runtime.cluster import processes, snakemake_private

PYTHON = "/env/bin/python3.11"
COMMANDS = {
    "by program": ((PYTHON, "/env/bin/snakemake", "--cores", "2"), "main"),
    "by module": ((PYTHON, "-m", "snakemake", "--profile", "profiles/slurm"), "main"),
    "unbuffered": ((PYTHON, "-u", "-m", "snakemake", "--mode", "default"), "main"),
    "dry run": ((PYTHON, "-m", "snakemake", "-n"), ""),
    "on a node": ((PYTHON, "-m", "snakemake", "--target-jobs", "a:b", "--mode", "remote"), "job"),
    "inner": ((PYTHON, "-m", "snakemake", "--target-jobs", "a:", "--mode=subprocess"), "job"),
    "script": ((PYTHON, "/folder/.snakemake/scripts/tmpx1.train_model.py"), "job"),
    "launcher": ((PYTHON, "-m", "gauntlet.runtime.cluster.launch", "--", "--cores", "2"), ""),
    "timeout": (("timeout", "9", PYTHON, "-m", "snakemake"), ""),
    "editor": (("vi", "snakemake"), ""),
    "nothing": ((), ""),
}


@pytest.mark.parametrize(("command", "kind"), COMMANDS.values(), ids=COMMANDS)
def test_commands(command, kind):
    assert snakemake_private.is_main(command) == (kind == "main")
    assert snakemake_private.is_job(command) == (kind == "job")


ARGUMENTS = [
    ([], "/here"),
    (["--directory", "there"], "/here/there"),
    (["--directory=/there", "all"], "/there"),
    (["-d", "../there"], "/there"),
    (["-dthere"], "/here/there"),
    (["--dry-run", "--configfile", "x.yaml"], "/here"),
]


@pytest.mark.parametrize(("arguments", "folder"), ARGUMENTS)
def test_the_folder_is_the_one_that_snakemake_works_in(arguments, folder):
    assert snakemake_private.directory(arguments, "/here") == folder


def _process(proc, pid, cwd, *command):
    entry = proc / str(pid)
    entry.mkdir(parents=True)
    (entry / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in command))
    (entry / "cwd").symlink_to(cwd)


@pytest.fixture
def proc(tmp_path):
    """A /proc in which much goes on."""
    made = tmp_path / "proc"
    _process(made, 11, "/folder", PYTHON, "-m", "snakemake", "--cores", "1")
    _process(made, 12, "/start", PYTHON, "-m", "snakemake", "--directory", "/folder")
    _process(made, 13, "/other", PYTHON, "-m", "snakemake", "--cores", "1")
    _process(made, 14, "/folder", PYTHON, ".snakemake/scripts/tmp.split_data.py")
    _process(made, 15, "/folder", "sbatch", "--job-name", "gauntlet-0_x", "--wrap", "y")
    _process(made, 16, "/folder", "sbatch", "--job-name", "mine")
    _process(
        made, 17, "/folder", PYTHON, "-m", "snakemake", "--target-jobs", "a:", "--mode", "remote"
    )
    (made / "18").mkdir()  # has just ended
    (made / "meminfo").touch()
    return str(made)


def test_processes_of_the_folder_are_found(proc):
    assert {found.pid for found in processes.mains("/folder", proc)} == {11, 12}
    jobs = processes.job_processes("/folder", "gauntlet-0", proc)
    assert {found.pid for found in jobs} == {14, 15, 17}


def test_a_live_snakemake_is_refused_in_one_sentence(proc):
    with pytest.raises(GauntletError, match=r"works in /folder \(process 1[12]\); allowed is one"):
        processes.require_alone("/folder", proc)


@pytest.mark.workflow  # the program that it starts is called snakemake
def test_this_machines_own_processes_are_seen(tmp_path):
    program = tmp_path / "snakemake"
    program.write_text("import time; print(1, flush=True); time.sleep(60)")
    command = [sys.executable, str(program), "--cores", "1"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        found = processes.mains(os.path.realpath(tmp_path))
        assert [one.pid for one in found] == [process.pid]
    finally:
        process.kill()
        process.wait()
    assert not processes.mains(os.path.realpath(tmp_path))


def _locked(folder, host):
    for name in (snakemake_private.LOCKS, snakemake_private.LOGS):
        (folder / name).mkdir(parents=True)
    (folder / snakemake_private.LOCKS / "0.input.lock").touch()
    log = folder / snakemake_private.LOGS / "2026-11-26T235012.898441.snakemake.log"
    log.write_text(f"SNAKEMAKE\n=========\n  Date: today\n  Host: {host}\n")


def test_a_lock_of_another_machine_is_refused_and_names_the_way_out(tmp_path):
    _locked(tmp_path, "elsewhere")
    with pytest.raises(GauntletError, match=f"on elsewhere.*{tmp_path}/.snakemake/locks first"):
        processes.require_alone(str(tmp_path), str(tmp_path))


def test_a_lock_whose_owner_was_killed_here_is_no_obstacle(tmp_path):
    _locked(tmp_path, socket.gethostname())
    processes.require_alone(str(tmp_path), str(tmp_path))
    assert snakemake_private.is_locked(str(tmp_path))
