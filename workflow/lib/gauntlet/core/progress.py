"""Progress with an estimate, for logs."""

import logging
import time

logger = logging.getLogger(__name__)


class Progress:
    """Log each finished unit of work with the time that the rest should take."""

    def __init__(self, label: str, total: int, every: float = 0.0, done: int = 0):
        """Count units; `every` is the least time in seconds between lines, `done` a head start."""
        self.label, self.total, self.every, self.before = label, total, every, done
        self.start = self.last = time.monotonic()

    def rate(self, count: int) -> float:
        """Give units per second since the start."""
        return count / max(time.monotonic() - self.start, 1e-9)

    def done(self, count: int, note: str = "") -> None:
        """Say that `count` units of the total are done."""
        now = time.monotonic()
        if count < self.total and now - self.last < self.every:
            return
        self.last = now
        left = (now - self.start) / max(count - self.before, 1) * (self.total - count)
        rest = f"about {left:.0f} s left" if count < self.total else f"in {now - self.start:.1f} s"
        logger.info("%s %d/%d, %s%s", self.label, count, self.total, rest, note and f": {note}")
