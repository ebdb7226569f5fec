"""Ctrl-C: one line, and the exit code of a program that was interrupted."""

import atexit
import os
import signal
import sys
import threading

LINE = "Interrupted; run again to continue."
AGAIN = "The jobs are being ended; press Ctrl-C once more to leave at once."


class Interrupt:
    """What SIGINT does to the process that Snakemake runs in."""

    def __init__(self, handler):
        self.handler, self.happened, self.asked = handler, False, 0
        usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if usual and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._note)

    def _note(self, number, frame) -> None:
        """Let Snakemake end its jobs; asked three times, end this process at once."""
        self.asked, self.happened = self.asked + 1, True
        if self.asked == 1:
            atexit.register(_die)
            raise KeyboardInterrupt
        if self.asked > 2:
            _die()
        os.write(2, f"\n{AGAIN}\n".encode())

    def end(self) -> None:
        """Say once that the run was interrupted."""
        if self.happened:
            self.handler.screen.write(LINE)


def _die() -> None:
    """End by the signal itself, as shells and make expect it (exit code 130)."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)
