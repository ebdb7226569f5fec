"""How far a job has come: for its log, and for whoever watches the run.

A run that shows progress names a folder in the environment (`GAUNTLET_PROGRESS`). Each process
keeps one small JSON file there while it works, and adds its warnings to one text file. Both are
for display only: they decide no result, and a job that cannot write them works on.
"""

import json
import logging
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

logger = logging.getLogger(__name__)
FOLDER = "GAUNTLET_PROGRESS"  # where a run that shows progress looks
JOB = "GAUNTLET_JOB"  # the log file of the job at work, which names the job
EVERY = 0.25  # seconds between two writes


class Progress:
    """Log each finished unit of work with the time that the rest should take."""

    def __init__(self, label: str, total: int, every: float = 0.0, done: int = 0):
        """Count units; `every` is the least time in seconds between lines, `done` a head start."""
        self.label, self.total, self.every, self.before = label, total, every, done
        self.start = self.last = time.monotonic()
        self._shown = 0.0
        self._show(done, "", None)

    def rate(self, count: int) -> float:
        """Give units per second since the start."""
        return count / max(time.monotonic() - self.start, 1e-9)

    def done(self, count: int, note: str = "", shown: str = "") -> None:
        """Say that `count` units of the total are done; `shown` is a short note for a display."""
        now = time.monotonic()
        left = (now - self.start) / max(count - self.before, 1) * (self.total - count)
        self._show(count, shown, left)
        if count < self.total and now - self.last < self.every:
            return
        self.last = now
        rest = f"about {left:.0f} s left" if count < self.total else f"in {now - self.start:.1f} s"
        logger.info("%s %d/%d, %s%s", self.label, count, self.total, rest, note and f": {note}")

    def _show(self, count: int, shown: str, left: float | None) -> None:
        now = time.monotonic()
        if count < self.total and now - self._shown < EVERY:
            return
        self._shown = now
        show({"label": self.label, "done": count, "total": self.total, "note": shown, "left": left})


def show(state: dict) -> None:
    """Write this process's state for the display, if a run shows progress and a job is at work."""
    path = _path(".json")
    if path is None or not os.environ.get(JOB):
        return
    with suppress(OSError):
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps({"job": os.environ[JOB], **state}), encoding="utf-8")
        os.replace(fresh, path)


def hide() -> None:
    """Remove this process's state from the display."""
    path = _path(".json")
    if path is not None:
        with suppress(OSError):
            path.unlink(missing_ok=True)


class Messages(logging.Handler):
    """Hand warnings to the run's display, which shows them above its bars; else to stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        """Add one message to this process's file."""
        announce(self.format(record))


def announce(text: str) -> None:
    """Give one message to the display if there is one, else to this process's stderr."""
    path = _path(".messages")
    if path is not None:
        with suppress(OSError), open(path, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(text) + "\n")
            return
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _path(ending: str) -> Path | None:
    folder = os.environ.get(FOLDER)
    if not folder or not os.path.isdir(folder):  # on another machine, or the run has ended
        return None
    return Path(folder) / f"{os.getpid()}{ending}"
