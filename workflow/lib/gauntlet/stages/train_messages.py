"""What the processes of one shared training report to the job. Standard library only."""

import json
import logging
import socket
import time
from contextlib import suppress
from multiprocessing.connection import Connection, wait

KILLED = {"failed": "it was killed (out of memory?)", "ours": False, "trace": ""}
CAUSE = 5.0  # seconds that a failure waits for its cause, the end of another process


class Reports:
    """The connections to all processes; `end` is the report of how the training ended, or None.

    A connection that breaks is an end, and so is a failure. The others fail when one is killed,
    and may say so before its connection breaks: a failure therefore waits some seconds for such
    a cause. The connections close when this closes, and the processes end with them.
    """

    def __init__(self, listener: socket.socket):
        self.listener, self.end = listener, None
        self._signal = 0
        self._ranks: dict[Connection, int | None] = {}  # of each connected process, once known
        self._failed: list[dict] = []

    def __enter__(self) -> "Reports":
        return self

    def __exit__(self, *_) -> None:
        for connection in self._ranks:
            connection.close()

    def listen(self, seconds: float) -> None:
        """Take in what comes within some seconds; all of what is there already."""
        self._take(seconds)
        if self._failed:
            self._seek_cause()

    def _take(self, seconds: float) -> None:
        while ready := wait([self.listener, *self._ranks], seconds):
            seconds = 0
            for one in ready:
                if one is self.listener:
                    self._accept()
                else:
                    self._receive(one)

    def _seek_cause(self) -> None:
        latest = time.monotonic() + CAUSE
        while self.end is None and self._ranks and (left := latest - time.monotonic()) > 0:
            self._take(left)
        self.end = self.end or self._failed[0]

    def pass_on(self, number: int) -> None:
        """Send the processes, once, the signal that asks to stop."""
        if not self._signal:
            self._signal = number
            for connection in self._ranks:
                self._send_signal(connection)

    def _accept(self) -> None:
        accepted, _ = self.listener.accept()
        connection = Connection(accepted.detach())
        self._ranks[connection] = None
        if self._signal:
            self._send_signal(connection)

    def _send_signal(self, connection: Connection) -> None:
        with suppress(OSError):  # the process has ended
            connection.send_bytes(bytes([self._signal]))

    def _receive(self, connection: Connection) -> None:
        try:
            report = json.loads(connection.recv_bytes())
        except (EOFError, OSError):
            self._finish(KILLED, self._leave(connection))
            return
        if "log" in report:
            logged = report["log"]
            logging.getLogger(logged["name"]).log(logged["level"], "%s", logged["text"])
        elif "rank" in report:
            self._ranks[connection] = report["rank"]
        elif "failed" in report and not report["ours"]:
            self._failed.append(report | {"rank": self._leave(connection)})
        else:
            self._finish(report, self._ranks[connection])

    def _leave(self, connection: Connection) -> int | None:
        connection.close()
        return self._ranks.pop(connection)

    def _finish(self, report: dict, rank: int | None) -> None:
        if self.end is None:
            self.end = report | {"rank": rank}
