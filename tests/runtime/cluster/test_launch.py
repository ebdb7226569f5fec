"""The launcher, with stand-ins for Slurm's commands and for Snakemake."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gauntlet.runtime.cluster import folder_lock, job_names, launch, processes, snakemake_private
from tests.helpers import schedulers

# Writes down its arguments and what is still in the queue; then does as it is told.
SNAKEMAKE = """
import json, os, signal, sys, time
from pathlib import Path
jobs = Path({jobs!r})
left = [job.name for job in jobs.glob("*") if not any((job / n).exists() for n in ("code", "gone"))]
with open("calls", "a") as stream:
    print(json.dumps([sys.argv[1:], left]), file=stream)
def told(number, frame):
    Path("signal").write_text(str(number))
    sys.exit(5)
if "--unlock" in sys.argv:
    for lock in Path(".snakemake/locks").glob("*"):
        lock.unlink()
    sys.exit("--refuse" in sys.argv)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, told)
Path("pid").write_text(str(os.getpid()))
if "--wait" in sys.argv:
    time.sleep(60)
if "--die" in sys.argv:
    os.kill(os.getpid(), signal.SIGKILL)
sys.exit(7 if "--fail" in sys.argv else 0)
"""
LAUNCH = """
import sys
from gauntlet.runtime.cluster import launch, slurm_queue
launch.SNAKEMAKE, launch.QUIET, slurm_queue.PAUSE = [sys.executable, {program!r}], 0.1, 0.1
slurm_queue.jobs.__defaults__ = (1.0, 0.1)
sys.exit(launch.main(sys.argv[1:]))
"""


class House:
    """A folder, a scheduler, and the launcher started in them."""

    def __init__(self, top: Path):
        self.top, self.folder = top, top / "study"
        self.folder.mkdir()
        self.bin = schedulers.install(top)
        program = top / "fake.py"
        program.write_text(SNAKEMAKE.format(jobs=str(top / "jobs")))
        (top / "start.py").write_text(LAUNCH.format(program=str(program)))
        self.prefix = job_names.prefix(str(self.folder))

    def start(self, *arguments, **environment) -> subprocess.Popen:
        """Start the launcher."""
        return subprocess.Popen(
            [sys.executable, str(self.top / "start.py"), *arguments],
            cwd=self.folder,
            env=schedulers.environment(self.bin, **environment),
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments, **environment) -> tuple[int, str]:
        """Run the launcher to its end: exit code and what it said."""
        process = self.start(*arguments, **environment)
        printed = process.communicate(timeout=60)[1]
        return process.returncode, printed

    def run_with_orphan(self, name: str, *arguments) -> tuple[int, str]:
        """Run the launcher while a job is in the queue that ends when the launcher has spoken."""
        self.job(name, f"until [ -e {self.top}/go ]; do sleep 0.05; done")
        process = self.start(*arguments)
        printed = process.stderr.readline()
        (self.top / "go").touch()
        printed += process.stderr.read()
        return process.wait(60), printed

    def job(self, name: str, command: str) -> None:
        """Put a job into the queue."""
        script = self.top / f"{name}.sh"
        script.write_text(command)
        subprocess.run([self.bin / "sbatch", f"--job-name={name}", script], check=True)

    def calls(self) -> list:
        """Give what Snakemake was called with, and the jobs that were in the queue then."""
        path = self.folder / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def await_file(self, name: str) -> str:
        """Wait until Snakemake has written a file."""
        end = time.monotonic() + 30
        while not (self.folder / name).exists() or not (self.folder / name).read_text():
            assert time.monotonic() < end, f"no {name}"
            time.sleep(0.02)
        return (self.folder / name).read_text()


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    yield made
    schedulers.end_all(tmp_path)


def test_snakemake_gets_its_arguments_and_gives_its_exit_code(house):
    assert house.run("--", "--cores", "1", "all") == (0, "")
    assert house.calls() == [[["--cores", "1", "all"], []]]
    assert house.run("--", "--fail")[0] == 7
    assert house.run("--", "--die")[0] == 137
    assert not (house.folder / folder_lock.FILE).exists()


def test_orphans_are_waited_for(house):
    code, printed = house.run_with_orphan(f"{house.prefix}_1", "--every", "30", "--", "all")
    assert code == 0 and house.calls() == [[["all"], []]]
    assert (
        "1 running and 0 waiting in the queue" in printed and "waiting for them to end" in printed
    )
    assert (house.top / "jobs" / "1" / "code").read_text().strip() == "0"


def test_orphans_are_canceled(house):
    house.job(f"{house.prefix}_1", "sleep 60")
    code, printed = house.run("--orphans", "cancel", "--", "all")
    assert code == 0 and house.calls() == [[["all"], []]]
    assert "canceling" in printed and (house.top / "jobs" / "1" / "gone").exists()


def test_jobs_of_other_folders_are_no_orphans(house):
    house.job(job_names.prefix(str(house.top)) + "_1", "sleep 60")
    assert house.run("--orphans", "cancel", "--", "all")[0] == 0
    assert house.calls() == [[["all"], ["1"]]]


def test_the_folder_is_that_of_snakemakes_arguments(house):
    other = house.top / "other"
    name = job_names.prefix(str(other)) + "_1"
    assert house.run_with_orphan(name, "--", "--directory", str(other))[0] == 0
    assert house.calls() == [[["--directory", str(other)], []]]


def test_processes_of_jobs_on_this_machine_are_orphans_too(house):
    script = house.folder / ".snakemake" / "scripts" / "tmp.train_model.py"
    script.parent.mkdir(parents=True)
    script.write_text("import time; time.sleep(60)")
    local = subprocess.Popen([sys.executable, str(script)], cwd=house.folder)
    try:
        code, printed = house.run("--orphans", "cancel", "--", "all")
        assert local.wait(10) == -signal.SIGTERM
        assert code == 0 and "1 processes on this machine" in printed
    finally:
        local.kill()


def _lock(house):
    (house.folder / snakemake_private.LOCKS).mkdir(parents=True)
    (house.folder / snakemake_private.LOCKS / "0.input.lock").touch()


def test_locks_are_taken_off_after_the_orphans_are_gone(house):
    _lock(house)
    arguments = ("--", "--configfile", "x.yaml", "--", "all")
    assert house.run_with_orphan(f"{house.prefix}_1", *arguments)[0] == 0
    assert house.calls() == [
        [["--configfile", "x.yaml", "--unlock"], []],
        [["--configfile", "x.yaml", "--", "all"], []],
    ]


def test_what_cannot_be_unlocked_is_not_run(house):
    _lock(house)
    code, printed = house.run("--", "--refuse")
    assert code == 1 and "could not be unlocked" in printed
    assert len(house.calls()) == 1


def test_a_second_launcher_is_refused(house):
    first = house.start("--", "--wait")
    house.await_file("pid")
    code, printed = house.run("--", "all")
    assert code == 1 and printed.count("\n") == 1
    assert f"a launcher already works in {house.folder} (process {first.pid}" in printed
    first.terminate()
    assert first.wait(30) == 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_passed_on(house, number):
    process = house.start("--", "--wait")
    house.await_file("pid")
    process.send_signal(number)
    assert process.wait(30) == 5
    assert house.await_file("signal") == str(int(number))
    assert not (house.folder / folder_lock.FILE).exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_a_killed_launcher_takes_snakemake_with_it(house):
    process = house.start("--", "--wait")
    pid = int(house.await_file("pid"))
    process.kill()
    process.wait()
    end = time.monotonic() + 30
    while processes._command(Path(f"/proc/{pid}")):
        assert time.monotonic() < end
        time.sleep(0.02)
    assert house.run("--", "all")[0] == 0


def test_progress_is_shown(house):
    process = house.start("--every", "0.2", "--", "--wait")
    house.await_file("pid")
    while "jobs done" not in (line := process.stderr.readline()):
        assert process.poll() is None
    assert "0 of 0 jobs done, 0 running, 0 waiting, 0 failed" in line
    process.terminate()
    process.communicate(timeout=30)


def test_a_silent_controller_is_one_sentence(house):
    (house.top / "jobs" / "down").touch()
    code, printed = house.run("--", "all")
    assert code == 1 and house.calls() == [] and printed.count("\n") == 1
    assert "controller gave squeue no answer" in printed


def test_without_slurm_it_says_what_it_is_for(house):
    os.mkdir(house.top / "empty")
    code, printed = house.run("--", "all", PATH=str(house.top / "empty"))
    assert code == 1 and printed.count("\n") == 1
    assert "squeue and scancel are not on PATH" in printed


@pytest.mark.parametrize("arguments", [[], ["--"], ["--orphans", "keep", "--", "all"], ["all"]])
def test_arguments_it_does_not_know_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        launch.main(arguments)
    assert end.value.code == 2
    assert "usage: python -m gauntlet.runtime.cluster.launch" in capsys.readouterr().err
