"""The GPU check's budget and table, without a device."""

import json
import os
import subprocess
import sys

import pytest
import torch

from tests.benchmarks import gpu_check
from tests.benchmarks.gpu_budget import COLUMNS, RESERVE, Budget, Part, Row, Table, run_parts
from tests.helpers.places import LIBRARY, ROOT

PARTS = [Part("a", 1, 5), Part("b", 2, 5), Part("c", 1, 30)]


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def table(tmp_path):
    return Table(tmp_path / "out", "A check")


def rows_on_disk(table):
    return json.loads((table.folder / "table.json").read_text())["rows"]


def test_a_part_gets_its_share_of_what_is_left():
    clock = Clock()
    budget = Budget(100 + RESERVE, PARTS, clock)
    assert [budget.allowed(part) for part in PARTS] == [25, pytest.approx(200 / 3), 100]
    clock.now += 10  # the first part was quick: the others have more
    assert budget.allowed(PARTS[1]) == pytest.approx(60)


def test_each_row_is_on_the_disk_at_once(table):
    seen = []

    def start(part, seconds):
        yield Row(part.name, "one", 1.0, "images/s", 0.5)
        seen.append([row["what"] for row in rows_on_disk(table)][-1])
        yield Row(part.name, "two")

    run_parts(Budget(1000, PARTS[:2], Clock()), table, start)
    assert seen == ["one", "one"]
    text = (table.folder / "table.md").read_text()
    assert text.startswith("# A check") and "| a" in text and "images/s" in text


def test_a_part_without_time_is_a_row_and_the_next_ones_run(table):
    parts = [Part("long", 1, 10**6), Part("short", 1, 1)]
    run_parts(Budget(100, parts, Clock()), table, lambda part, s: iter([Row(part.name, "done")]))
    states = [(row["part"], row["state"]) for row in rows_on_disk(table)]
    assert states == [("long", "skipped"), ("short", "measured"), ("short", "measured")]


@pytest.mark.parametrize("error, state", [(TimeoutError(), "cut"), (OSError("gone"), "failed")])
def test_what_a_part_had_measured_stays(error, state, table):
    def start(part, seconds):
        yield Row(part.name, "before", 3.0)
        raise error

    run_parts(Budget(100, PARTS[:2], Clock()), table, start)
    found = [(row["part"], row["what"], row["state"]) for row in rows_on_disk(table)]
    assert ("a", "before", "measured") in found and ("b", "before", "measured") in found
    assert ("a", "the rest", state) in found and ("b", "the rest", state) in found


def test_the_table_of_a_tiny_run_has_its_columns(tmp_path):
    words = ["--tiny", "--device", "cpu", "--seconds", "500", "--out", str(tmp_path)]
    command = [sys.executable, "-m", "tests.benchmarks.gpu_check", *words]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{LIBRARY}"}
    done = subprocess.run(
        [*command, "--parts", "machine", "leases"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "table.json").read_text())["rows"]
    assert all(tuple(row) == COLUMNS for row in rows)
    assert {row["part"] for row in rows} == {"machine", "leases"}
    assert [row["value"] for row in rows if row["what"] == "torch"] == [torch.__version__]
    assert "with tiny sizes: no result" in done.stdout and "failed" not in done.stdout


def program(monkeypatch, text):
    """Let a part be this program."""
    before = gpu_check.subprocess.Popen
    monkeypatch.setattr(
        gpu_check.subprocess,
        "Popen",
        lambda _, **rest: before([sys.executable, "-c", text], **rest),
    )
    return gpu_check.parse(["--tiny"])


def test_a_part_that_hangs_is_ended_and_its_rows_stay(monkeypatch):
    text = 'import time; print(\'{"part": "a", "what": "x"}\', flush=True); time.sleep(600)'
    rows = gpu_check.spawned(program(monkeypatch, text), Part("a", 1, 1), 10.0)
    assert next(rows) == Row("a", "x")
    with pytest.raises(TimeoutError):
        next(rows)


def test_a_part_that_fails_says_why(monkeypatch):
    options = program(monkeypatch, "raise SystemExit('no such device')")
    with pytest.raises(RuntimeError, match="no such device"):
        list(gpu_check.spawned(options, Part("a", 1, 1), 60.0))
