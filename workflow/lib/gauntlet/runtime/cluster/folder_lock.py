"""A launcher's claim to a folder: a file that names its machine and process, with a counter.

On the same machine, the claim holds while the process runs. From another machine only the counter
can be seen; it is watched for longer than shared file systems keep old attributes. Clocks of
different machines are never compared, and no file locks are used.
"""

import json
import os
import socket
import time
import uuid
from pathlib import Path

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import write_whole

FILE = ".gauntlet/launcher.json"  # below the working directory
PULSE = 10.0  # seconds between two increments of the counter
WATCH = 90.0  # seconds without an increment after which a launcher elsewhere counts as ended


class Claim:
    """A launcher's claim to a folder; `with` takes it and gives it back."""

    def __init__(self, folder: str, watch: float = WATCH, pause: float = PULSE / 2):
        self.path = Path(folder) / FILE
        self._watch, self._pause = watch, pause
        self._record = {"host": socket.gethostname(), **_self(), "token": uuid.uuid4().hex}
        self._count, self._last = 0, 0.0

    def __enter__(self) -> "Claim":
        before = read(self.path)
        if before and self._alive(before):
            raise GauntletError(
                f"a launcher already works in {self.path.parents[1]} (process {before['pid']} on "
                f"{before['host']}); allowed is one, so end that one first."
            )
        self.beat(at_once=True)
        if read(self.path).get("token") != self._record["token"]:
            raise GauntletError(
                f"another launcher took {self.path.parents[1]} at the same moment; allowed is one."
            )
        return self

    def __exit__(self, *_) -> None:
        if read(self.path).get("token") == self._record["token"]:
            self.path.unlink(missing_ok=True)

    def beat(self, at_once: bool = False) -> None:
        """Increment the counter, if it is time to: the launcher is alive."""
        if not at_once and time.monotonic() - self._last < PULSE:
            return
        self._count, self._last = self._count + 1, time.monotonic()
        text = json.dumps({**self._record, "beat": self._count})
        write_whole(self.path, lambda partial: partial.write_text(text, encoding="utf-8"))

    def _alive(self, record: dict) -> bool:
        if record["host"] == socket.gethostname():
            return lives(record)
        end = time.monotonic() + self._watch
        while time.monotonic() < end:
            time.sleep(self._pause)
            if read(self.path) != record:
                return bool(read(self.path))
        return False


def read(path: Path) -> dict:
    """Read a claim; empty if there is none or if the file is damaged."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return record if {"host", "pid", "started", "boot"} <= set(record) else {}
    except (OSError, ValueError, TypeError):
        return {}


def lives(record: dict) -> bool:
    """Tell whether the process that a claim names still runs on this machine."""
    return record["boot"] == _boot() and record["started"] == _started(record["pid"])


def _self() -> dict:
    return {"pid": os.getpid(), "boot": _boot(), "started": _started(os.getpid())}


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When a process started, in the kernel's ticks since boot; empty if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[19]
