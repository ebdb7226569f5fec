"""How far a workflow is, in a few lines: `python -m gauntlet.runtime.cluster.status [FOLDER]`.

What is planned, done, failed and tried again is what Snakemake's log of the latest run says; what
runs and what waits is what Slurm's queue says, or without Slurm what has been started and has not
ended. GPU-hours of finished jobs come from the seconds in their provenance, those of running jobs
from the queue; attempts that failed are not counted.
"""

import json
import os
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import cache
from pathlib import Path

from gauntlet.core.errors import GauntletError
from gauntlet.runtime.cluster import folder_lock, job_names, processes, slurm_queue, snakemake_log

HEAD = ("rule", "done", "running", "waiting", "failed", "retried")
UNKNOWN = "?"  # a rule that is in no log


@dataclass
class Row:
    """The jobs of one rule; `planned` are those of the latest run."""

    planned: int = 0
    done: int = 0
    running: int = 0
    waiting: int = 0
    failed: int = 0
    retried: int = 0


def block(folder: str | Path, patience: float = 0.0) -> str:
    """Say how far the workflow in a folder has come; without Slurm's answer the queue is left out.

    `patience` are the seconds in which a silent controller is asked again.
    """
    folder = os.path.realpath(folder)
    queued, trouble = None, ""
    if slurm_queue.installed():
        try:
            queued = slurm_queue.jobs(job_names.prefix(folder), patience)
        except GauntletError as error:
            trouble = str(error)
    runs = snakemake_log.runs(folder)
    rows = count(runs, queued, at_work(folder))
    hours = gpu_hours(folder, runs), sum(job.gpus * job.seconds for job in queued or ()) / 3600
    return "\n".join([*_table(rows, hours), *([trouble] if trouble else [])])


def at_work(folder: str) -> bool:
    """Whether a Snakemake works in the folder, as far as can be seen without waiting."""
    record = folder_lock.read(Path(folder, folder_lock.FILE))
    elsewhere = bool(record) and record["host"] != os.uname().nodename
    return elsewhere or bool(processes.mains(folder))


def count(
    runs: Sequence[snakemake_log.Run], queued: Sequence[slurm_queue.Queued] | None, alive: bool
) -> dict[str, Row]:
    """Count the jobs of every rule.

    A job in the queue can hold several jobs of Snakemake; each of them is counted. A job that the
    latest run has started and that is in no queue runs on Snakemake's own machine, or has just
    ended; it is counted as running only while a Snakemake is alive.
    """
    rows = {
        rule: Row(planned=number) for rule, number in (runs[-1].planned if runs else {}).items()
    }
    seen = set()
    for job in queued or ():
        for rule, member in _behind(job, runs):
            row = rows.setdefault(rule, Row())
            row.waiting += job.waiting
            row.running += not job.waiting
            seen.add(id(member))
    for job in runs[-1].jobs.values() if runs else ():
        row = rows.setdefault(job.rule, Row())
        row.done += job.state == snakemake_log.DONE
        row.failed += job.state == snakemake_log.FAILED
        row.running += job.state == snakemake_log.STARTED and alive and id(job) not in seen
    for rule, number in (runs[-1].retried if runs else {}).items():
        rows[rule].retried = number
    return rows


def gpu_hours(folder: str | Path, runs: Sequence[snakemake_log.Run]) -> float:
    """Add up the GPU-hours of all finished jobs in the folder's logs, each job once."""
    gpus = {job.provenance: job.gpus for run in runs for job in run.jobs.values() if job.provenance}
    return (
        sum(_seconds(Path(folder, name)) * number for name, number in gpus.items() if number) / 3600
    )


def _behind(job: slurm_queue.Queued, runs: Sequence[snakemake_log.Run]) -> list[tuple[str, object]]:
    """Name the jobs behind one in the queue: by the logs, else by its comment."""
    for run in reversed(runs):
        if members := run.external.get(job.number):
            return [(member.rule, member) for member in members]
    rules = sorted({rule for run in runs for rule in run.planned}, key=len, reverse=True)
    comment = job.comment.removeprefix("rule_").partition("_wildcards_")[0]
    named = [rule for rule in rules if re.search(rf"(^|_){re.escape(rule)}(_|$)", comment)]
    return [(named[0] if named else comment or UNKNOWN, None)]


def _seconds(provenance: Path) -> float:
    """Give the seconds of a finished job; 0 if its provenance is missing or damaged."""
    try:
        state = provenance.stat()
        return _read_seconds(provenance, state.st_mtime_ns, state.st_size)
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


@cache
def _read_seconds(provenance: Path, changed: int, size: int) -> float:
    return float(json.loads(provenance.read_text(encoding="utf-8"))["seconds"])


def _table(rows: dict[str, Row], hours: tuple[float, float]) -> list[str]:
    total = Row(*map(sum, zip(*map(astuple, rows.values()), strict=True))) if rows else Row()
    head = (
        f"[{time.strftime('%H:%M:%S')}] {total.done} of {total.planned} jobs done, "
        f"{total.running} running, {total.waiting} waiting, {total.failed} failed; "
        f"GPU-hours: {hours[0]:.2f} of finished jobs, {hours[1]:.2f} of running ones"
    )
    width = max(map(len, (*rows, HEAD[0])))
    lines = [(HEAD[0].ljust(width), *HEAD[1:])] if rows else []
    for rule, row in rows.items():
        numbers = (row.running, row.waiting, row.failed, row.retried)
        lines.append((rule.ljust(width), f"{row.done}/{row.planned}", *map(_dash, numbers)))
    return [
        head,
        *("  " + first + "".join(f"{cell:>10}" for cell in rest) for first, *rest in lines),
    ]


def _dash(number: int) -> str:
    return str(number) if number else "-"


def main(arguments: list[str]) -> int:
    """Show how far the workflow in the named folder, or in this one, has come."""
    sys.stdout.write(block(arguments[0] if arguments else ".") + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
