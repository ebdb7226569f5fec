"""Signals that ask a job to stop: a loop that can be resumed ends at a point where it can."""

import signal
import threading

STOP_SIGNALS = (
    "SIGTERM",
    "SIGUSR1",
)  # from Snakemake and schedulers


class Stopped(SystemExit):
    """The job ends because it was asked to; its exit code is that of the signal."""

    def __init__(self, number: int):
        super().__init__(128 + number)
        self.name = signal.Signals(number).name


class Saved(Stopped):
    """The job ends as asked, after it saved what is done."""


class Stop:
    """While it lasts, a first signal to stop is only recorded; a second one ends the job at once.

    Outside the main thread, where signals cannot be handled, it does nothing.
    """

    def __init__(self):
        self.number, self._before = 0, {}

    def __enter__(self) -> "Stop":
        if threading.current_thread() is threading.main_thread():
            for name in STOP_SIGNALS:
                if number := getattr(signal, name, None):
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __bool__(self) -> bool:
        return self.number != 0

    def _note(self, number, frame) -> None:
        if self.number:
            raise Stopped(number)
        self.number = number


def end_on_signals() -> None:
    """Make the signals that ask to stop end this process by an exception, so that it cleans up."""
    for name in STOP_SIGNALS:
        if number := getattr(signal, name, None):
            signal.signal(number, _end)


def _end(number, frame) -> None:
    raise Stopped(number)
