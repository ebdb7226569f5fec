"""What the processes of one shared training tell the job. Standard library only."""

import json
import logging
import selectors
import socket
from contextlib import suppress

KILLED = {"failed": "it was killed (out of memory?)", "ours": False, "trace": ""}


class Reports:
    """The lines to all processes; `end` is the report of how the training ended, once there is one.

    The first failure is an end, and so is a line that breaks before; lines break when this closes.
    """

    def __init__(self, door: socket.socket, count: int):
        self.door, self.count, self.end = door, count, None
        self._signal = b""
        self._lines: dict[socket.socket, dict] = {}
        self._ready = selectors.DefaultSelector()
        door.setblocking(False)
        self._ready.register(door, selectors.EVENT_READ)

    def __enter__(self) -> "Reports":
        return self

    def __exit__(self, *_) -> None:
        self._ready.close()
        for line in self._lines:
            line.close()

    def listen(self, seconds: float) -> None:
        """Take in what comes within some seconds; all of what is there already."""
        while ready := self._ready.select(seconds):
            seconds = 0
            for key, _ in ready:
                if key.fileobj is self.door:
                    self._admit()
                else:
                    self._hear(key.fileobj)

    def pass_on(self, number: int) -> None:
        """Tell the processes once that a signal asks to stop."""
        if not self._signal:
            self._signal = bytes([number])
            for line in self._lines:
                self._send(line)

    def _admit(self) -> None:
        line, _ = self.door.accept()
        self._lines[line] = {"rank": None, "rest": b""}
        self._ready.register(line, selectors.EVENT_READ)
        if self._signal:
            self._send(line)

    def _send(self, line: socket.socket) -> None:
        with suppress(OSError):  # it has ended
            line.send(self._signal)

    def _hear(self, line: socket.socket) -> None:
        known = self._lines[line]
        try:
            heard = line.recv(1 << 16)
        except OSError:
            heard = b""
        if not heard:
            self._ready.unregister(line)
            self._finish(KILLED, known)
        *texts, known["rest"] = (known["rest"] + heard).split(b"\n")
        for text in texts:
            self._take(json.loads(text), known)

    def _take(self, report: dict, known: dict) -> None:
        if "log" in report:
            name, level, text = report["log"]
            logging.getLogger(name).log(level, "%s", text)
        elif "rank" in report:
            known["rank"] = report["rank"]
        else:
            self._finish(report, known)

    def _finish(self, report: dict, known: dict) -> None:
        if self.end is None:
            self.end = report | {"rank": known["rank"]}
