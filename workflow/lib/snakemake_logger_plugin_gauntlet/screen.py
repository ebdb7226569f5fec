"""A run on stderr: lines only, or lines above a live view of what is running."""

import time
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from snakemake_logger_plugin_gauntlet.jobs import Job, Jobs

BAR = 24  # characters
SHOWN = 12  # running jobs that are shown at once


class Lines:
    """Lines for a file or a pipe."""

    def __init__(self, stream: TextIO, jobs: Jobs, nocolor: bool = True):
        self.stream, self.jobs, self.nocolor = stream, jobs, nocolor
        self.states: dict[str, dict] = {}

    def begin(self) -> None:
        """There is no view to begin."""

    def end(self) -> None:
        """There is no view to end."""

    def refresh(self) -> None:
        """There is no view to draw."""

    def write(self, text: str, color: str = "") -> None:
        """Write a text, in lines of its own."""
        if text:
            self.stream.write(f"{text}\n")
            self.stream.flush()


class Screen(Lines):
    """Lines on a terminal, and below them the running jobs and a bar of all."""

    def __init__(self, stream: TextIO, jobs: Jobs, nocolor: bool = True):
        super().__init__(stream, jobs, nocolor)
        self.console = Console(file=stream, no_color=nocolor, highlight=False)
        self.live: Live | None = None
        self.began = time.monotonic()

    def begin(self) -> None:
        """Show the view from now on."""
        if self.live is None:
            self.began = time.monotonic()
            self.live = Live(
                console=self.console,
                transient=True,
                auto_refresh=False,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self.live.start()

    def end(self) -> None:
        """Take the view away."""
        if self.live is not None:
            self.live.stop()
            self.live = None

    def refresh(self) -> None:
        """Draw the view anew."""
        if self.live is not None:
            self.live.update(self._view(), refresh=True)

    def write(self, text: str, color: str = "") -> None:
        """Write a text above the view."""
        if text:
            self.console.print(Text(text, style=color), soft_wrap=True)

    def _view(self) -> Group:
        table = Table.grid(padding=(0, 2))
        jobs = sorted(self.jobs.running.values(), key=lambda job: job.started)
        for job in jobs[:SHOWN]:
            table.add_row(*map(Text, self._row(job)))
        more = len(jobs) - SHOWN
        rest = [Text(f"and {more} more")] if more > 0 else []
        return Group(table, *rest, Text(self._bar(), no_wrap=True))

    def _row(self, job: Job) -> tuple[str, ...]:
        state = self.states.get(job.log)
        if state is None:
            return job.rule, job.names, "", "", _clock(job.seconds)
        count = f"{state['label']} {state['done']} of {state['total']}"
        left = "" if state["left"] is None else f"{_clock(state['left'])} left"
        return job.rule, job.names, count, state["note"], left or _clock(job.seconds)

    def _bar(self) -> str:
        done, total = self.jobs.done, max(self.jobs.total, 1)
        full = min(BAR * done // total, BAR)
        failed = f", {self.jobs.failed} failed" if self.jobs.failed else ""
        spent = time.monotonic() - self.began
        left = f", about {_clock(spent * (total - done) / done)} left" if done else ""
        bar = "━" * full + "─" * (BAR - full)
        return f"{bar} {done} of {total} jobs{failed}, {_clock(spent)}{left}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes}:{rest:02d}"
