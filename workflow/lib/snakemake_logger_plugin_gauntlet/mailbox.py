"""What running jobs say: a small JSON file of each process's progress, and its warnings.

The folder's name is in the environment of all jobs on this machine; see gauntlet.core.progress.
"""

import json
import os
import shutil
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

FOLDER = "GAUNTLET_PROGRESS"
EVERY = 0.25  # seconds between two looks


def interrupted() -> bool:
    """Tell whether Ctrl-C was pressed; jobs that end by it are no news."""
    return "GAUNTLET_INTERRUPTED" in os.environ


class Mailbox:
    """A folder that jobs write to, and a thread that reads it while the run lasts."""

    def __init__(self, handler):
        self.handler, self.folder, self._read = handler, None, {}
        self._end = threading.Event()

    def begin(self) -> None:
        """Make the folder and begin to read it."""
        if self.folder is None:
            self.folder = Path(tempfile.mkdtemp(prefix="gauntlet-progress-"))
            os.environ[FOLDER] = str(self.folder)
            threading.Thread(target=self._watch, daemon=True).start()

    def end(self) -> None:
        """Read what is left, and remove the folder."""
        self._end.set()
        if self.folder is not None:
            self.read()
            os.environ.pop(FOLDER, None)
            shutil.rmtree(self.folder, ignore_errors=True)

    def _watch(self) -> None:
        while not self._end.wait(EVERY):
            with self.handler.lock:
                if not self._end.is_set():
                    self.read()
                    self.handler.screen.states = self.states()
                    self.handler.screen.refresh()

    def read(self) -> None:
        """Show the messages that have come since the last look."""
        if self.folder is None:
            return
        for path in sorted(self.folder.glob("*.messages")):
            with suppress(OSError, ValueError), open(path, encoding="utf-8") as stream:
                stream.seek(self._read.get(path, 0))
                while (line := stream.readline()).endswith("\n"):
                    self._read[path] = stream.tell()
                    self._show(json.loads(line))

    def _show(self, text: str) -> None:
        if interrupted():
            return
        if text.startswith("WARNING"):
            self.handler.warn(text)
        else:
            self.handler.screen.write(text, "red")

    def states(self) -> dict[str, dict]:
        """Give the progress of each job, by its log."""
        found = {}
        for path in sorted(self.folder.glob("*.json")):
            with suppress(OSError, ValueError, KeyError):
                state = json.loads(path.read_text(encoding="utf-8"))
                found[state["job"]] = state
        return found
