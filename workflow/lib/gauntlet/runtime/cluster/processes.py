"""Processes that work in a folder: Snakemake's main processes, and jobs that outlived theirs.

Processes are found in /proc. Snakemake's locks name no process, but its log names the machine, so
it is known whether the owner of a lock could be found on this machine at all.
"""

import contextlib
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gauntlet.core.errors import GauntletError
from gauntlet.runtime.cluster import snakemake_private
from gauntlet.runtime.cluster.snakemake_private import (
    LOCKS,
    directory,
    is_job,
    is_locked,
    is_main,
    program_place,
)


@dataclass(frozen=True)
class Process:
    """A process of this machine that works in the folder."""

    pid: int
    command: tuple[str, ...]


def mains(folder: str, proc: str = "/proc") -> list[Process]:
    """List the Snakemakes that work in a folder on this machine, except this process."""
    return [process for process in _processes(folder, proc) if is_main(process.command)]


def job_processes(folder: str, prefix: str, proc: str = "/proc") -> list[Process]:
    """List processes of jobs in a folder on this machine, and submissions that are not finished."""
    return [
        process
        for process in _processes(folder, proc)
        if is_job(process.command) or _submits(process.command, prefix)
    ]


def require_alone(folder: str, proc: str = "/proc") -> None:
    """Raise a GauntletError if a Snakemake works in the folder, or may do so on another machine."""
    for process in mains(folder, proc):
        raise GauntletError(
            f"a Snakemake already works in {folder} (process {process.pid}); allowed is one, so "
            "wait for it or end it by SIGINT first."
        )
    host = owner(folder)
    if is_locked(folder) and host not in ("", socket.gethostname()):
        raise GauntletError(
            f"{folder} was locked by a Snakemake on {host}, which cannot be seen from "
            f"{socket.gethostname()}; start on {host}, or, if nothing runs there any more, remove "
            f"{Path(folder, LOCKS)} first."
        )


def owner(folder: str) -> str:
    """Name the machine of the last Snakemake that wrote a log in the folder; empty if none did."""
    for path in reversed(snakemake_private.logs(folder)):
        with contextlib.suppress(OSError):
            if host := snakemake_private.host_of(path):
                return host
    return ""


def _submits(command: Sequence[str], prefix: str) -> bool:
    return any(os.path.basename(word) == "sbatch" for word in command[:2]) and any(
        prefix in word for word in command
    )


def _processes(folder: str, proc: str) -> list[Process]:
    found = []
    for entry in Path(proc).iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            command = _command(entry)
            if command and folder in _where(entry, command):
                found.append(Process(int(entry.name), command))
    return found


def _command(entry: Path) -> tuple[str, ...]:
    try:
        text = (entry / "cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ()
    return tuple(text.rstrip("\0").split("\0")) if text else ()


def _where(entry: Path, command: Sequence[str]) -> set[str]:
    """Say in which folder a process is, and to which a Snakemake that has just started will go."""
    try:
        current = os.readlink(entry / "cwd")
    except OSError:
        current = "/"
    starting = () if program_place(command) is None else (directory(command, current),)
    return {current, *starting}
