"""A folder's jobs in Slurm's queue: asked for, and canceled, with bounded patience."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass

from gauntlet.core.errors import GauntletError

# What is asked of squeue, and how wide; columns of fixed width hold any character.
COLUMNS = {
    "JobArrayID": 40,
    "State": 20,
    "TimeUsed": 20,
    "NumNodes": 10,
    "tres-alloc": 200,
    "tres-per-job": 80,
    "tres-per-node": 80,
    "Name": 120,
    "Comment": 400,
}
WAITING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT"}
ANSWER = 30.0  # seconds that one question to Slurm may take
PATIENCE = 300.0  # seconds without any answer after which we give up
PAUSE = 5.0  # seconds between two questions
CHUNK = 100  # jobs canceled by one command


@dataclass(frozen=True)
class Queued:
    """A job in the queue: its seconds are those it has run, its GPUs those of all its nodes."""

    number: str
    state: str
    seconds: int
    gpus: int
    comment: str

    @property
    def waiting(self) -> bool:
        """Whether it has not started yet."""
        return self.state in WAITING


def installed() -> bool:
    """Whether Slurm's commands are on PATH."""
    return shutil.which("squeue") is not None and shutil.which("scancel") is not None


def jobs(prefix: str, patience: float = PATIENCE, pause: float = PAUSE) -> list[Queued]:
    """List this user's jobs whose names begin so, in whatever state before their end.

    A controller that does not answer is asked again until `patience` seconds are over.
    """
    form = ",".join(f"{name}:{width}" for name, width in COLUMNS.items())
    command = ["squeue", "--noheader", "--array", "--user", str(os.getuid()), "--Format", form]
    return parse(_ask(command, patience, pause), prefix)


def parse(printed: str, prefix: str) -> list[Queued]:
    """Read what squeue printed; lines of other jobs, or broken ones, are passed over."""
    rows = [_cut(line) for line in printed.splitlines()]
    return [_queued(row) for row in rows if row["JobArrayID"] and row["Name"].startswith(prefix)]


def cancel(numbers: Iterable[str]) -> None:
    """Ask Slurm to cancel jobs; those that ended by themselves meanwhile are no error."""
    numbers = list(numbers)
    for first in range(0, len(numbers), CHUNK):
        command = ["scancel", *numbers[first : first + CHUNK]]
        try:
            subprocess.run(command, capture_output=True, timeout=ANSWER, check=False)
        except subprocess.TimeoutExpired:
            continue  # what is still there is canceled again by who looks into the queue
        except OSError as error:
            raise GauntletError(f"scancel cannot be started ({error.strerror}).") from None


def seconds(text: str) -> int:
    """Read Slurm's [days-][hours:]minutes:seconds; what is no time is 0."""
    days, _, clock = text.rpartition("-")
    parts = clock.split(":")
    if not all(part.isdigit() for part in parts) or not (days.isdigit() or not days):
        return 0
    total = 0
    for part in parts:
        total = total * 60 + int(part)
    return total + int(days or 0) * 86400


def _ask(command: list[str], patience: float, pause: float) -> str:
    end = time.monotonic() + patience
    while True:
        printed, trouble = _once(command)
        if printed is not None:
            return printed
        if time.monotonic() + pause >= end:
            within = f" within {patience:.0f} s" if patience else ""
            raise GauntletError(
                f"Slurm's controller gave squeue no answer{within} ({trouble}); start again when "
                "squeue works."
            )
        time.sleep(pause)


def _once(command: list[str]) -> tuple[str | None, str]:
    """Ask once: the answer, or None and what was wrong."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=ANSWER, check=False
        )
    except subprocess.TimeoutExpired:
        return None, f"none in {ANSWER:.0f} s"
    except OSError as error:
        raise GauntletError(
            f"squeue cannot be started ({error.strerror}); allowed is a machine that has Slurm's "
            "commands on PATH."
        ) from None
    if done.returncode:
        return None, " ".join(done.stderr.split()) or f"exit code {done.returncode}"
    return done.stdout, ""


def _cut(line: str) -> dict[str, str]:
    row, start = {}, 0
    for name, width in COLUMNS.items():
        row[name] = line[start : start + width].strip()
        start += width
    return row


def _queued(row: dict[str, str]) -> Queued:
    return Queued(
        number=row["JobArrayID"],
        state=row["State"].upper(),
        seconds=seconds(row["TimeUsed"]),
        gpus=_gpus(row),
        comment=row["Comment"] if row["Comment"] not in ("(null)", "N/A") else "",
    )


def _gpus(row: dict[str, str]) -> int:
    """Count GPUs as allocated; where Slurm does not account for them, as asked for."""
    if found := re.search(r"gres/gpu=(\d+)", row["tres-alloc"]):
        return int(found.group(1))
    asked = _gres(row["tres-per-job"])
    nodes = int(row["NumNodes"]) if row["NumNodes"].isdigit() else 1
    return asked or _gres(row["tres-per-node"]) * nodes


def _gres(text: str) -> int:
    """Add up `gres:gpu:2`, `gres/gpu:a100:2` and `gpu=2`; without a number it is one."""
    found = re.findall(r"\bgpu(?::[A-Za-z][\w.-]*)?(?:[:=](\d+))?(?=[,(]|$)", text)
    return sum(int(number or 1) for number in found)
