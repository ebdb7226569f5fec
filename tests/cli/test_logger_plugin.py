"""The display of a run, record by record, without Snakemake: lines, warnings, failures, bars."""

import io
import json
import logging
import os
import time
from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_gauntlet import LogHandler
from snakemake_logger_plugin_gauntlet.mailbox import FOLDER


class Terminal(io.StringIO):
    """What is written to a terminal, or to a pipe."""

    def __init__(self, bars):
        super().__init__()
        self.bars = bars

    def isatty(self):
        return self.bars


@pytest.fixture
def display(monkeypatch):
    """Make a handler that writes to a stream of the test."""
    made = []
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("GAUNTLET_INTERRUPTED", raising=False)

    def make(bars=False, **common):
        stream = Terminal(bars)
        usual = {"printshellcmds": False, "nocolor": True, "quiet": None, "debug_dag": False}
        usual |= {"verbose": False, "show_failed_logs": True, "stdout": True, "dryrun": False}
        monkeypatch.setattr("sys.stdout", stream)
        handler = LogHandler(SimpleNamespace(**(usual | common)), None)
        handler.setFormatter(logging.Formatter("%(message)s"))
        made.append(handler)
        return handler, stream

    yield make
    for handler in made:
        handler.close()


def say(handler, text="", level=logging.INFO, **fields):
    record = logging.LogRecord("snakemake", level, "", 0, text, (), None)
    vars(record).update(fields)
    handler.handle(record)


def plan(handler, **stats):
    say(handler, "Job stats: a table", event=LogEvent.RUN_INFO, stats=stats)


def begin(handler, number, rule="train_model", log="logs/a.log", **wildcards):
    fields = {"jobid": number, "rule_name": rule, "log": [log], "wildcards": wildcards}
    say(handler, "Rule", event=LogEvent.JOB_INFO, input=["results/x"], output=["y"], **fields)


def end(handler, number):
    say(handler, "Finished jobid", event=LogEvent.JOB_FINISHED, job_id=number)


def test_a_job_is_one_line_with_rule_names_and_seconds(display):
    handler, stream = display()
    plan(handler, train_model=1, all=1, total=2)
    begin(handler, 1, dataset="digits", model="mlp", defense="pgd_at", seed="0")
    say(handler, "Select jobs to execute...")
    end(handler, 1)
    begin(handler, 0, "all", log="")
    end(handler, 0)
    handler.close()
    lines = stream.getvalue().splitlines()
    assert lines[0] == "2 jobs: 1 train_model"
    assert lines[1] == "[1/2] train_model          digits/mlp/pgd_at/seed0  0.0 s"
    assert len(lines) == 3 and "results/" not in stream.getvalue()


def test_a_failed_job_shows_the_end_of_its_log(display, tmp_path):
    handler, stream = display()
    log = tmp_path / "a.log"
    log.write_text("\n".join(f"line {number}" for number in range(100)))
    plan(handler, train_model=1, total=1)
    begin(handler, 1, log=str(log), seed="3")
    fields = {"jobid": 1, "rule_name": "train_model", "log": [str(log)]}
    say(handler, "Error", logging.ERROR, event=LogEvent.JOB_ERROR, **fields)
    say(handler, "RuleException:\nCalledProcessError in file x", logging.ERROR)
    text = stream.getvalue()
    assert "Error in rule train_model (seed3):" in text and "RuleException" not in text
    assert "line 99" in text and "line 60" in text and "line 59" not in text
    assert "60 lines before" in text


def test_a_jobs_warning_is_shown_at_once_and_again_at_the_end(display):
    handler, stream = display()
    plan(handler, train_model=2, total=2)
    begin(handler, 1)
    begin(handler, 2)
    folder = os.environ[FOLDER]
    with open(os.path.join(folder, "7.messages"), "w") as file:
        file.write(json.dumps("WARNING: odd") + "\n" + json.dumps("ERROR: bad") + "\n")
        file.write('"not whole')
    end_by = time.monotonic() + 60
    while "odd" not in stream.getvalue() and time.monotonic() < end_by:
        time.sleep(0.05)
    assert stream.getvalue().count("WARNING: odd") == 1 and "ERROR: bad" in stream.getvalue()
    handler.close()
    after = stream.getvalue().partition("Warnings of this run (1):")[2]
    assert "WARNING: odd" in after and "bad" not in after
    assert not os.path.exists(folder) and FOLDER not in os.environ


def test_a_terminal_shows_what_is_running_and_how_far_it_is(display):
    handler, stream = display(bars=True)
    plan(handler, train_model=2, total=2)
    begin(handler, 1, dataset="digits", seed="0")
    state = {"job": "logs/a.log", "label": "epoch", "done": 3, "total": 30}
    with open(os.path.join(os.environ[FOLDER], "7.json"), "w") as file:
        json.dump(state | {"note": "robust 61.0%", "left": 95.0}, file)
    end_by = time.monotonic() + 60
    while "epoch 3 of 30" not in stream.getvalue() and time.monotonic() < end_by:
        time.sleep(0.05)
    text = stream.getvalue()
    assert "digits/seed0" in text and "robust 61.0%" in text and "1:35 left" in text
    assert "0 of 2 jobs" in text


def test_a_dry_run_is_shown_as_snakemake_writes_it(display):
    handler, stream = display(bars=True, dryrun=True)
    plan(handler, train_model=1, total=1)
    begin(handler, 1)
    assert stream.getvalue().splitlines() == ["Job stats: a table", "Rule"]


def test_after_an_interrupt_dying_jobs_are_no_news(display, monkeypatch):
    handler, stream = display()
    plan(handler, train_model=1, total=1)
    begin(handler, 1)
    before = stream.getvalue()
    monkeypatch.setenv("GAUNTLET_INTERRUPTED", "yes")
    fields = {"jobid": 1, "rule_name": "train_model", "log": ["logs/a.log"]}
    say(handler, "Error", logging.ERROR, event=LogEvent.JOB_ERROR, **fields)
    say(handler, "WorkflowError: at least one job failed", logging.ERROR)
    handler.close()
    assert stream.getvalue() == before


def test_snakemakes_own_warnings_and_errors_stay(display):
    handler, stream = display()
    say(handler, "Building DAG of jobs...")
    say(handler, "clock skew", logging.WARNING)
    say(handler, "MissingInputException", logging.ERROR)
    assert stream.getvalue().splitlines() == ["WARNING: clock skew", "MissingInputException"]
