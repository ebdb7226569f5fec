"""Snakemake's messages as one line a job; on a terminal also what is running and how far it is.

A logger plugin of Snakemake (`--logger gauntlet`, which profiles/default sets). The whole log stays
in .snakemake/log. Dry runs, --verbose and --debug-dag are shown as Snakemake writes them.
"""

import logging
import sys

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_gauntlet.jobs import Jobs
from snakemake_logger_plugin_gauntlet.mailbox import Mailbox, interrupted
from snakemake_logger_plugin_gauntlet.screen import Lines, Screen

# What Snakemake says of its own doing, besides the results of jobs; its log file has all of it.
ROUTINE = ("Select jobs to execute", "Using shell:", "Assuming unrestricted", "Conda environments:")
ROUTINE += ("Singularity containers:", "Group jobs: inactive", "Building DAG of jobs")
ROUTINE += ("Config file ", "Finished jobid:", "Removing temporary output", "Shutting down")
ROUTINE += ("Adding ", "Loading script code", "Creating report")
ROUTINE += ("Terminating processes on user request", "Elapsed time:", "Will exit after finishing")
NOTHING = "Nothing to be done"
HIDDEN = (LogEvent.SHELLCMD, LogEvent.RESOURCES_INFO, LogEvent.WORKFLOW_STARTED)
HIDDEN += (LogEvent.RULEGRAPH, LogEvent.DEBUG_DAG, LogEvent.GROUP_INFO)


class LogHandler(LogHandlerBase):
    """Show a run on stderr: jobs as they end, and what is running if stderr is a terminal."""

    writes_to_stream, writes_to_file, has_filter, has_formatter = True, False, False, False
    needs_rulegraph = False

    def __post_init__(self) -> None:
        """Choose lines or a screen, and begin to read what jobs say."""
        common = self.common_settings
        stream = sys.stdout if common.stdout else sys.stderr
        self.plain = common.dryrun or common.verbose or common.debug_dag
        self.jobs, self.warnings, self.nothing_to_do = Jobs(), [], False
        bars = stream.isatty() and not self.plain
        self.screen = (Screen if bars else Lines)(stream, self.jobs, common.nocolor)
        self.mailbox = Mailbox(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Show one record; a record that cannot be shown is reported as logging does."""
        try:
            self._show(record)
        except Exception:
            self.handleError(record)

    def _show(self, record: logging.LogRecord) -> None:
        if self.plain:
            self.screen.write(self.format(record))
        elif not self._known(record) and not interrupted():
            self._message(record)
        self.screen.refresh()

    def _known(self, record: logging.LogRecord) -> bool:
        """Take what is said of jobs; True if the record needs no words of its own."""
        event = getattr(record, "event", None)
        if event == LogEvent.RUN_INFO:
            self.screen.write(self.jobs.plan(record))
            self.mailbox.begin()
            self.screen.begin()
        elif event == LogEvent.JOB_INFO:
            self.jobs.start(record)
        elif event == LogEvent.JOB_FINISHED:
            self.screen.write(self.jobs.finish(record))
        elif event == LogEvent.PROGRESS:
            self.jobs.done, self.jobs.total = record.done, record.total
        elif event == LogEvent.JOB_ERROR:
            self.mailbox.read()
            if not interrupted():
                logs = self.common_settings.show_failed_logs
                self.screen.write(self.jobs.fail(record, logs), "red")
        return event in HIDDEN or event in _OF_JOBS

    def _message(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        routine = record.levelno == logging.INFO and text.lstrip().startswith(ROUTINE)
        if not text.strip() or routine or (record.levelno > logging.WARNING and _of_script(text)):
            return
        self.nothing_to_do |= text.startswith(NOTHING)
        if record.levelno == logging.WARNING:
            self.warn(text if text.startswith("WARNING") else f"WARNING: {text}")
        else:
            self.screen.write(text, "red" if record.levelno > logging.WARNING else "")

    def warn(self, text: str) -> None:
        """Show a warning at once, and once more at the end."""
        self.warnings.append(text)
        self.screen.write(text, "yellow")

    def close(self) -> None:
        """Take the bars away, repeat the warnings, and leave the terminal as it was."""
        if not self.closed:
            self.closed = True
            self.mailbox.end()
            self.screen.end()
            repeated = list(dict.fromkeys(self.warnings)) if len(self.jobs.seen) > 1 else []
            if repeated:
                self.screen.write(f"Warnings of this run ({len(repeated)}):", "yellow")
                self.screen.write("\n".join(f"  {text}" for text in repeated), "yellow")
            if self.nothing_to_do:
                _show_tables()
        super().close()

    closed = False


_OF_JOBS = (LogEvent.RUN_INFO, LogEvent.JOB_INFO, LogEvent.JOB_STARTED, LogEvent.JOB_FINISHED)
_OF_JOBS += (LogEvent.PROGRESS, LogEvent.JOB_ERROR)


def _show_tables() -> None:
    """Show the tables also where nothing was to be done: Snakemake calls no hook then."""
    finish = sys.modules.get("gauntlet.runtime.finish")  # as the workflow has loaded it
    if finish is not None:
        finish.show_at_exit()


def _of_script(text: str) -> bool:
    """Tell whether an error only repeats that a job's own process has failed."""
    return text.lstrip().startswith(("RuleException:", "CalledProcessError in"))
