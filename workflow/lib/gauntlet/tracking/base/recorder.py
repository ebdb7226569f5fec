"""One tracker at work: it never stops a training, and records no batch or epoch twice."""

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from gauntlet.core.records import first_line
from gauntlet.tracking.base.position import Done, Position, as_texts, numbers

logger = logging.getLogger(__name__)


class Recorder:
    """Hand numbers and pictures to a tracker until it fails, which is told once.

    `open_run` gives the tracker for a position; it is called when there is something to record.
    `key` tells the training from others in the same folder.
    """

    def __init__(self, name: str, folder: Path, open_run: Callable[[Position], Any], key: str):
        self.name, self.folder, self.open_run, self.key = name, folder, open_run, key
        self.position: Position | None = None
        self.tracker: Any = None
        self.failed = False

    def begin(self, done: Done) -> None:
        """Open the run anew, or where an interrupted training goes on after what is done."""
        self._try(lambda: self._open(done))

    def batch(self, step: int, values: dict[str, float]) -> None:
        """Record numbers of a batch, counted from 1 over all epochs."""
        self._try(lambda: self._batch(step, values))

    def epoch(self, row: dict, pictures: dict) -> None:
        """Record an epoch's row of the history, and pictures by name: [N, C, H, W] in [0, 1]."""
        self._try(lambda: self._epoch(row, pictures))

    def close(self, finished: bool) -> None:
        """End the run."""
        if self.tracker is not None:
            self._try(lambda: self._close(finished))
            self.tracker = None

    def _close(self, finished: bool) -> None:
        self.tracker.close(finished)
        self.position.save()

    def _open(self, done: Done) -> None:
        at = Position.found(self.folder, done, self.key)
        at.folder.mkdir(parents=True, exist_ok=True)
        self.position, self.tracker = at, self.open_run(at)
        at.save()

    def _batch(self, step: int, values: dict[str, float]) -> None:
        if step > self.position.batch:
            self.tracker.batch(step, values)
            self.position.batch = step
            if self.tracker.immediate:
                self.position.save()

    def _epoch(self, row: dict, pictures: dict) -> None:
        if row["epoch"] > self.position.epoch:
            self.tracker.epoch(row["epoch"], self.position.batch, numbers(row), pictures)
            self.position.rows.append(as_texts(row))
            self.position.save()

    def _try(self, act: Callable[[], None]) -> None:
        if self.failed:
            return
        try:
            act()
        except Exception as error:
            self.failed = True
            logger.warning(
                "tracking by %s ends here (%s: %s); the training goes on without it",
                *(self.name, type(error).__name__, first_line(error)),
            )
            if self.tracker is not None:
                with suppress(Exception):  # it has failed already
                    self.tracker.close(False)
