"""What is known of a run's jobs, and the line that each leaves when it ends."""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

TAIL = 40  # lines of a failed job's log that are shown
NUMBERED = ("round", "seed", "trial")  # names whose values are plain numbers
QUIET_LOG = "(its log is empty)"


@dataclass
class Job:
    """A job that has started: its rule, the names that tell it from others, and its log."""

    rule: str
    names: str
    log: str
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Give the seconds since it started."""
        return time.monotonic() - self.started


class Jobs:
    """The jobs of a run: those at work by Snakemake's number, and how many are done."""

    def __init__(self):
        self.running: dict[int, Job] = {}
        self.seen: set[int] = set()
        self.done, self.total, self.failed = 0, 0, 0

    def plan(self, record: logging.LogRecord) -> str:
        """Take the counts of jobs by rule; give them in a sentence."""
        counts = {
            rule: count for rule, count in record.stats.items() if rule not in ("total", "all")
        }
        self.total = record.stats.get("total", sum(counts.values()))
        return f"{self.total} jobs: " + ", ".join(f"{counts[rule]} {rule}" for rule in counts)

    def start(self, record: logging.LogRecord) -> None:
        """Take a job that starts."""
        names = "/".join(_names(record.wildcards.items()))
        log = record.log[0] if record.log else ""
        self.running[record.jobid] = Job(record.rule_name, names, str(log))
        self.seen.add(record.jobid)

    def finish(self, record: logging.LogRecord) -> str:
        """Take a job that is done; give its line: how many are done, rule, names, seconds."""
        job = self.running.pop(record.job_id, None)
        self.done += 1
        width = len(str(self.total))
        if job is None:
            return ""
        said = f"[{self.done:{width}}/{self.total}] {job.rule:<20} {job.names}"
        return f"{said.rstrip()}  {job.seconds:.1f} s"

    def fail(self, record: logging.LogRecord, logs: bool) -> str:
        """Take a job that failed; give its rule, names and log, with the log's end if asked."""
        job = self.running.pop(record.jobid, None)
        self.failed += 1
        named = f" ({job.names})" if job and job.names else ""
        lines = [f"Error in rule {record.rule_name}{named}:"]
        paths = [str(path) for path in record.log or []]
        for path in paths:
            lines.append(f"  log: {path}")
            lines += [f"    {line}" for line in _tail(path)] if logs else []
        if not paths:
            lines.append(f"  {record.getMessage()}")
        return "\n".join(lines)


def _names(wildcards: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{name}{value}" if name in NUMBERED else str(value) for name, value in wildcards]


def _tail(path: str) -> list[str]:
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        return [f"(it cannot be read: {error.strerror})"]
    more = len(lines) - TAIL
    return ([f"... {more} lines before"] if more > 0 else []) + lines[-TAIL:] or [QUIET_LOG]
