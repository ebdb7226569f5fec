"""How far a transfer is: in the log every few seconds, and as a bar where a person looks."""

import logging
import sys
import time

logger = logging.getLogger(__name__)
LOG_EVERY, DRAW_EVERY, WIDTH = 5.0, 0.1, 24


class Meter:
    """Follow a transfer of `total` bytes (None if unknown), of which `done` are there already."""

    def __init__(self, label: str, done: int, total: int | None):
        self.label, self.first, self.done, self.total = label, done, done, total
        self.start = self.logged = self.drawn = time.monotonic()
        self.visible = sys.stderr.isatty()

    @property
    def rate(self) -> float:
        """Bytes per second since the start."""
        return (self.done - self.first) / max(time.monotonic() - self.start, 1e-6)

    def add(self, count: int) -> None:
        """Say that so many more bytes are there."""
        self.done += count
        now = time.monotonic()
        if now - self.logged >= LOG_EVERY:
            self.logged = now
            logger.info("%s", self.text())
        if self.visible and now - self.drawn >= DRAW_EVERY:
            self.drawn = now
            self._draw(self._bar() + self.text())

    def close(self) -> None:
        """Say how it ended and take the bar away."""
        logger.info("%s", self.text())
        if self.visible:
            self._draw("")

    def text(self) -> str:
        """Give the amount, the rate and, where it is known, the time left."""
        of = f" of {self.total / 1e6:.1f}" if self.total else ""
        text = f"{self.label}: {self.done / 1e6:.1f}{of} MB, {self.rate / 1e6:.2f} MB/s"
        left = (self.total or 0) - self.done
        return text + (f", about {left / max(self.rate, 1):.0f} s left" if left > 0 else "")

    def _draw(self, text: str) -> None:
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()

    def _bar(self) -> str:
        if not self.total:
            return ""
        full = min(WIDTH, WIDTH * self.done // self.total)
        return f"[{'#' * full}{'.' * (WIDTH - full)}] "
