"""A stand-in for a scheduler: commands on PATH that record how they are called and run the jobs.

`install(folder)` writes sbatch, squeue, scancel, qsub, qstat and qdel. They keep a folder per job:
`command` (its arguments, a line each), `name`, `pid`, `code` once it has ended, `gone` once it was
canceled. A file `down` beside them makes the controller silent; a job whose name holds the text in
the file `fail` fails, once.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

LIBRARY = Path(__file__).resolve().parents[2] / "workflow" / "lib"


def install(folder: Path) -> Path:
    """Write the commands to `folder`/bin and give that; jobs are kept in `folder`/jobs."""
    home, bin_folder = folder / "jobs", folder / "bin"
    home.mkdir(parents=True)
    bin_folder.mkdir()
    for name in ACTIONS:
        words = ["exec", "env", f"PYTHONPATH={LIBRARY}", sys.executable, __file__, name, str(home)]
        (bin_folder / name).write_text(f'#!/bin/sh\n{shlex.join(words)} "$@"\n')
        (bin_folder / name).chmod(0o755)
    return bin_folder


def submitted(folder: Path) -> dict[str, list[str]]:
    """Give the arguments of every submission, by the job's number, in their order."""
    return {job.name: (job / "command").read_text().splitlines() for job in _jobs(folder / "jobs")}


def running(folder: Path, name: str) -> bool:
    """Whether a job runs whose name holds this."""
    jobs = _jobs(folder / "jobs")
    return any(name in (job / "name").read_text() and _state(job) == "RUNNING" for job in jobs)


def end_all(folder: Path) -> None:
    """End whatever runs, and wait until it has."""
    _cancel(folder / "jobs", [job.name for job in _jobs(folder / "jobs")])


def environment(bin_folder: Path, **more: str) -> dict[str, str]:
    """Give an environment whose PATH begins with the commands, for `gauntlet` as a module."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GAUNTLET_")}
    path = os.pathsep.join([str(bin_folder), str(Path(sys.executable).parent), "/usr/bin", "/bin"])
    return kept | {"PATH": path, "PYTHONPATH": str(LIBRARY)} | more


def _jobs(home: Path) -> list[Path]:
    found = [path for path in home.iterdir() if (path / "name").exists()]
    return sorted(found, key=lambda path: int(path.name))


def _state(job: Path) -> str:
    if (job / "code").exists():
        return "COMPLETED" if (job / "code").read_text().strip() == "0" else "FAILED"
    return "CANCELLED" if (job / "gone").exists() else "RUNNING"


def _value(arguments: list[str], *names: str) -> str:
    for place, word in enumerate(arguments):
        if word in names:
            return arguments[place + 1]
        if word.split("=")[0] in names:
            return word.split("=", 1)[1]
    return ""


def _submit(home: Path, arguments: list[str]) -> None:
    number = 1
    while (home / str(number)).exists():
        number += 1
    job, script = home / str(number), arguments[-1]
    job.mkdir()  # one of two at the same moment fails, and is submitted again
    (job / "command").write_text("\n".join(arguments))
    name = _value(arguments, "--job-name", "-N")
    if (home / "fail").exists() and (home / "fail").read_text() in name:
        (home / "fail").unlink()
        (job / "code").write_text("1")
    else:
        code = shlex.quote(str(job / "code"))
        steps = f"sh {shlex.quote(script)}; echo $? > {code}.new; mv {code}.new {code}"
        with open(job / "log", "w") as log:
            streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            process = subprocess.Popen(["sh", "-c", steps], start_new_session=True, **streams)
        (job / "pid").write_text(str(process.pid))
    (job / "name").write_text(name)
    print(number)


def _squeue(home: Path, arguments: list[str]) -> None:
    from gauntlet.runtime.cluster.slurm_queue import COLUMNS

    if (home / "down").exists():
        sys.exit("slurm_load_jobs error: Unable to contact slurm controller (connect failure)")
    if number := _value(arguments, "--jobs"):
        if not (home / number).exists():
            sys.exit("slurm_load_jobs error: Invalid job id specified")
        print(_state(home / number))
        return
    for job in _jobs(home):
        if _state(job) == "RUNNING":
            row = {"JobArrayID": job.name, "State": "RUNNING", "TimeUsed": "0:07", "NumNodes": "1"}
            row |= {"Name": (job / "name").read_text(), "Comment": "(null)"}
            cells = (row.get(name, "N/A").ljust(width) for name, width in COLUMNS.items())
            print("".join(cells))


def _cancel(home: Path, numbers: list[str]) -> None:
    for job in (home / number for number in numbers):
        if _state(job) == "RUNNING":
            os.killpg(int((job / "pid").read_text()), signal.SIGTERM)
            time.sleep(0.2)
            (job / "gone").touch()


def _qstat(home: Path, arguments: list[str]) -> None:
    job = home / arguments[-1]
    if (home / "down").exists() or not job.exists():
        sys.exit("qstat: cannot connect" if (home / "down").exists() else "qstat: Unknown Job Id")
    ended = _state(job) != "RUNNING"
    print(f"Job Id: {job.name}\n    job_state = {'F' if ended else 'R'}")
    if ended:
        code = (job / "code").read_text().strip() if (job / "code").exists() else "271"
        print(f"    Exit_status = {code}")


ACTIONS = {"sbatch": _submit, "squeue": _squeue, "scancel": _cancel}
ACTIONS |= {"qsub": _submit, "qstat": _qstat, "qdel": _cancel}

if __name__ == "__main__":
    ACTIONS[sys.argv[1]](Path(sys.argv[2]), sys.argv[3:])
