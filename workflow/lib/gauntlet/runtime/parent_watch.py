"""Jobs end with the Snakemake that started them.

Jobs of a Snakemake that was killed go on; they could overwrite results of the next run, which may
have other settings. Every Snakemake process that reads the workflow puts its process number into
the environment; a job on the same machine checks whether that process lives.
"""

import os
import signal
import threading
import time
from pathlib import Path

NAME = "GAUNTLET_PARENT"  # "<process>:<when it started>"
EVERY = 1.0  # seconds between two checks


def announce() -> None:
    """Put this process's number into the environment of the jobs that it starts."""
    os.environ[NAME] = f"{os.getpid()}:{_started(os.getpid())}"


def lives() -> bool:
    """Tell whether the process that started this job lives; True where none is named."""
    return _lives(os.environ.get(NAME, ""))


def _lives(name: str) -> bool:
    number, _, started = name.partition(":")
    return not number.isdigit() or _started(int(number)) == started


def end_with_parent() -> None:
    """From now on, ask this process to stop, as by SIGTERM, when its Snakemake is gone.

    The Snakemake is the one that the environment names now; without a name nothing is watched.
    """
    if name := os.environ.get(NAME):
        threading.Thread(target=_watch, args=(name,), daemon=True).start()


def _watch(name: str) -> None:
    while _lives(name):
        time.sleep(EVERY)
    os.kill(os.getpid(), signal.SIGTERM)


def _started(process: int) -> str:
    """Give when a process started, in the kernel's ticks: no other process of its number did."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return "" if Path("/proc/self/stat").exists() else _answers(process)
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]


def _answers(process: int) -> str:
    """Where there is no /proc: give a text if a process has this number, else nothing."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "there"
