"""What a job says of its progress: to its log, and to a run that shows it."""

import json
import logging
import os

import pytest

from gauntlet.core import progress
from gauntlet.core.progress import Messages, Progress, announce, hide


@pytest.fixture
def shown(tmp_path, monkeypatch):
    """A run that shows progress, and a job at work."""
    monkeypatch.setenv(progress.FOLDER, str(tmp_path))
    monkeypatch.setenv(progress.JOB, "logs/mine.log")
    return tmp_path


def _state(folder):
    return json.loads((folder / f"{os.getpid()}.json").read_text())


def test_a_display_finds_what_is_done_and_what_is_left(shown):
    count = Progress("epoch", 4, done=1)
    assert _state(shown) == {
        "job": "logs/mine.log",
        "label": "epoch",
        "done": 1,
        "total": 4,
        "note": "",
        "left": None,
    }
    count.done(4, "clean 0.9, robust 0.5", "robust 50.0%")
    state = _state(shown)
    assert (state["done"], state["note"], state["left"]) == (4, "robust 50.0%", 0.0)
    assert [path.name for path in shown.iterdir()] == [f"{os.getpid()}.json"]
    hide()
    assert not list(shown.iterdir())


def test_writes_are_few(shown, monkeypatch):
    written = []
    monkeypatch.setattr(progress, "show", written.append)
    count = Progress("attack", 10_000)
    for number in range(1, 10_001):
        count.done(number)
    assert written[0]["done"] == 0 and written[-1]["done"] == 10_000
    assert len(written) < 1000


@pytest.mark.parametrize("folder", [None, "gone"])
def test_without_a_display_nothing_is_written(folder, tmp_path, monkeypatch, capsys):
    """Also on a node of a cluster, where the folder that the environment names is not there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(progress.FOLDER, raising=False)
    if folder:
        monkeypatch.setenv(progress.FOLDER, str(tmp_path / folder))
    Progress("epoch", 2).done(1)
    hide()
    announce("WARNING: look")
    assert capsys.readouterr().err == "WARNING: look\n"
    assert not list(tmp_path.iterdir())


def test_the_log_says_each_unit(caplog):
    with caplog.at_level(logging.INFO, "gauntlet.core.progress"):
        count = Progress("epoch", 2)
        count.done(1, "clean 0.9")
        count.done(2)
    first, last = (record.getMessage() for record in caplog.records)
    assert first.startswith("epoch 1/2, about ") and first.endswith("s left: clean 0.9")
    assert last.startswith("epoch 2/2, in ")


def test_warnings_go_to_the_display_each_in_a_line(shown):
    logger = logging.Logger("own")
    handler = Messages()
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logger.addHandler(handler)
    logger.warning("one\nand more")
    logger.error("two")
    lines = (shown / f"{os.getpid()}.messages").read_text().splitlines()
    assert [json.loads(line) for line in lines] == ["WARNING: one\nand more", "ERROR: two"]
