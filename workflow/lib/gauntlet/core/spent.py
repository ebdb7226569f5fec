"""What a job has spent before it was interrupted: kept beside the folder of what it has done."""

import json
import os
import resource
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from gauntlet.core.files import write_whole


@dataclass
class Spent:
    """Seconds and CPU seconds up to the last mark, when that was, and CPU clocks by process."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    since: float = 0.0
    clocks: dict[str, float] = field(default_factory=dict)


def cpu_seconds() -> float:
    """Give the CPU time of this process and of those it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def begin(keep: Path) -> Spent:
    """Begin an attempt; give what earlier ones have spent on what the folder `keep` holds."""
    earlier = _read(keep) if keep.is_dir() and any(keep.iterdir()) else Spent()
    clocks = {str(os.getpid()): cpu_seconds()}
    _write(keep, Spent(earlier.seconds, earlier.cpu_seconds, time.time(), clocks))
    return earlier


def mark(keep: Path | None) -> None:
    """Add what was spent since the last mark, now that something more is kept.

    Another process than the job's counts its own CPU time for each of those that share the work.
    """
    if keep is None:
        return
    keep = keep if _place(keep).exists() else keep.parent  # a folder inside the job's
    if not _place(keep).exists():
        return
    known, now, process = _read(keep), time.time(), str(os.getpid())
    share = int(os.environ.get("WORLD_SIZE", 1))  # 1 in the job's own process
    clock = cpu_seconds()
    known.cpu_seconds += share * (clock - known.clocks.get(process, 0.0))
    known.clocks[process] = clock
    known.seconds += max(0.0, now - known.since)
    known.since = now
    _write(keep, known)


def forget(keep: Path) -> None:
    """Remove the record of a job that has ended."""
    _place(keep).unlink(missing_ok=True)


def _place(keep: Path) -> Path:
    return keep.with_name(f"{keep.name}.spent.json")


def _read(keep: Path) -> Spent:
    try:
        return Spent(**json.loads(_place(keep).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return Spent(since=time.time())


def _write(keep: Path, spent: Spent) -> None:
    text = json.dumps(asdict(spent))
    write_whole(_place(keep), lambda fresh: fresh.write_text(text, encoding="utf-8"))
