"""Who works in a folder: Snakemake's main processes, and jobs that outlived theirs.

A main process is found by what /proc says about it. Snakemake's own locks name no process; its
log names the machine, which tells whether a lock's owner can be seen from here at all.
"""

import os
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gauntlet.core.errors import GauntletError

LOCKS = ".snakemake/locks"
LOGS = ".snakemake/log"
SCRIPTS = ".snakemake/scripts/"
DIRECTORY = ("--directory", "-d")
HARMLESS = {"-n", "--dry-run", "--dryrun", "--unlock", "--lint", "--version", "--help", "-h"}
HEAD = 20_000  # characters of a log in which the machine is named


@dataclass(frozen=True)
class Process:
    """A process of this machine that works in the folder."""

    pid: int
    command: tuple[str, ...]


def directory(arguments: Sequence[str], folder: str = ".") -> str:
    """Give the folder in which Snakemake works when it is started with these arguments."""
    found = None
    for place, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if argument in DIRECTORY and place + 1 < len(arguments):
            found = arguments[place + 1]
        elif name == "--directory" and equals:
            found = value
        elif argument.startswith("-d") and len(argument) > 2:
            found = argument[2:]
    return os.path.realpath(os.path.join(folder, os.path.expanduser(found or ".")))


def is_main(command: Sequence[str]) -> bool:
    """Whether a command is a Snakemake that plans and starts jobs, and no job of its own."""
    place = _snakemake(command)
    if place is None or "--target-jobs" in command:
        return False
    options = command[place + 1 :]
    job = any(mode in ("remote", "subprocess") for mode in _values(options, "--mode"))
    return not job and not HARMLESS & set(options)


def is_job(command: Sequence[str]) -> bool:
    """Whether a command is a job of Snakemake's: a script that it wrote, or its inner self."""
    scripted = any(SCRIPTS in argument for argument in command[1:3])
    return scripted or (_snakemake(command) is not None and "--target-jobs" in command)


def mains(folder: str, proc: str = "/proc") -> list[Process]:
    """List the Snakemakes that work in a folder on this machine, but for this process's own."""
    return [process for process in _processes(folder, proc) if is_main(process.command)]


def job_processes(folder: str, prefix: str, proc: str = "/proc") -> list[Process]:
    """List processes of jobs in a folder on this machine, and submissions still under way."""
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
    if locked(folder) and host not in ("", socket.gethostname()):
        raise GauntletError(
            f"{folder} was locked by a Snakemake on {host}, which cannot be seen from "
            f"{socket.gethostname()}; start on {host}, or, if nothing works there any more, remove "
            f"{Path(folder, LOCKS)} first."
        )


def locked(folder: str) -> bool:
    """Whether Snakemake's locks lie in the folder."""
    return any(Path(folder, LOCKS).glob("*.lock"))


def owner(folder: str) -> str:
    """Name the machine of the last Snakemake that wrote a log in the folder; empty if none did."""
    for path in sorted(Path(folder, LOGS).glob("*.snakemake.log"), reverse=True):
        try:
            with open(path, encoding="utf-8", errors="replace") as stream:
                found = re.search(r"^ *host: (\S+)", stream.read(HEAD), re.I | re.M)
        except OSError:
            continue
        if found:
            return found.group(1)
    return ""


def _snakemake(command: Sequence[str]) -> int | None:
    """Find Snakemake's place in a command: its program, or its module after -m."""
    python = os.path.basename(command[0]).startswith("python") if command else False
    for place, argument in enumerate(command[: 4 if python else 1]):
        if os.path.basename(argument) == "snakemake":
            return place
    return None


def _values(options: Sequence[str], name: str) -> list[str]:
    after = [options[place + 1] for place, word in enumerate(options[:-1]) if word == name]
    return after + [word.partition("=")[2] for word in options if word.startswith(f"{name}=")]


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
    starting = () if _snakemake(command) is None else (directory(command, current),)
    return {current, *starting}
