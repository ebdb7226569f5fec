"""A stand-in for a scheduler: commands on PATH that record how they are called and run the jobs.

`install(folder)` writes sbatch, squeue, scancel, qsub, qstat and qdel. They keep a folder per job:
`command` (its arguments, a line each), `pid`, `code` once it has ended. A file `down` beside them
makes the controller silent; a job whose name holds the text in the file `fail` fails once.
"""

import os
import stat
import sys
from pathlib import Path

COMMANDS = ("sbatch", "squeue", "scancel", "qsub", "qstat", "qdel")
PROGRAM = '''#!{python}
import json, os, signal, subprocess, sys, time
from pathlib import Path

HOME = Path({home!r})
COLUMNS = {columns!r}


def value(arguments, *names):
    for place, word in enumerate(arguments):
        if word in names:
            return arguments[place + 1]
        if word.split("=")[0] in names:
            return word.split("=", 1)[1]


def submit(arguments):
    number = 1
    while True:
        try:
            (HOME / str(number)).mkdir()
            break
        except FileExistsError:
            number += 1
    job, script = HOME / str(number), arguments[-1]
    name = value(arguments, "--job-name", "-N")
    (job / "command").write_text("\\n".join(arguments))
    (job / "name").write_text(name)
    fail = HOME / "fail"
    if fail.exists() and fail.read_text() in name:
        fail.unlink()
        (job / "code").write_text("1")
    else:
        log = open(job / "log", "w")
        run = "sh " + script + "; echo $? > " + str(job / "code.new") + "; mv " + str(job / "code.new") + " " + str(job / "code")
        process = subprocess.Popen(["sh", "-c", run], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        (job / "pid").write_text(str(process.pid))
    print(number)


def state(job):
    code = job / "code"
    if code.exists():
        return "COMPLETED" if code.read_text().strip() == "0" else "FAILED"
    return "CANCELLED" if (job / "gone").exists() else "RUNNING"


def jobs():
    found = [path for path in HOME.iterdir() if (path / "name").exists()]
    return sorted(found, key=lambda path: int(path.name))


def squeue(arguments):
    if (HOME / "down").exists():
        sys.exit("slurm_load_jobs error: Unable to contact slurm controller (connect failure)")
    if number := value(arguments, "--jobs"):
        if not (HOME / number).exists():
            sys.exit("slurm_load_jobs error: Invalid job id specified")
        return print(state(HOME / number))
    for job in jobs():
        if state(job) == "RUNNING":
            row = dict.fromkeys(COLUMNS, "N/A")
            row |= {{"JobArrayID": job.name, "State": "RUNNING", "TimeUsed": "0:07", "NumNodes": "1"}}
            row |= {{"Name": (job / "name").read_text(), "Comment": "(null)"}}
            print("".join(row[name].ljust(width) for name, width in COLUMNS.items()))


def cancel(arguments):
    for number in arguments:
        job = HOME / number
        if state(job) == "RUNNING":
            os.killpg(int((job / "pid").read_text()), signal.SIGTERM)
            (job / "gone").touch()


def qstat(arguments):
    job = HOME / arguments[-1]
    if not job.exists():
        sys.exit("qstat: Unknown Job Id " + arguments[-1])
    print("Job Id: " + job.name + "\\n    job_state = " + ("R" if state(job) == "RUNNING" else "F"))
    if (job / "code").exists():
        print("    Exit_status = " + (job / "code").read_text().strip())


ACTIONS = dict(sbatch=submit, qsub=submit, squeue=squeue, scancel=cancel, qstat=qstat, qdel=cancel)
ACTIONS[os.path.basename(sys.argv[0])](sys.argv[1:])
'''


def install(folder: Path, commands: tuple[str, ...] = COMMANDS) -> Path:
    """Write the commands to `folder`/bin and give that; jobs are kept in `folder`/jobs."""
    from gauntlet.queue import COLUMNS

    home = folder / "jobs"
    home.mkdir(parents=True)
    (folder / "bin").mkdir()
    program = PROGRAM.format(python=sys.executable, home=str(home), columns=COLUMNS)
    for name in commands:
        path = folder / "bin" / name
        path.write_text(program)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return folder / "bin"


def submitted(folder: Path) -> dict[str, list[str]]:
    """Give the arguments of every submission, by the job's number, in their order."""
    found = sorted((folder / "jobs").glob("*/command"), key=lambda path: int(path.parent.name))
    return {path.parent.name: path.read_text().splitlines() for path in found}


def environment(bin_folder: Path) -> dict[str, str]:
    """Give an environment whose PATH has the commands first, and none of them but these."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GAUNTLET_")}
    library = str(Path(__file__).resolve().parents[1] / "workflow" / "lib")
    return kept | {"PATH": f"{bin_folder}:/usr/bin:/bin", "PYTHONPATH": library}
