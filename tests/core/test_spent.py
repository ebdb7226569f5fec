"""What interrupted attempts have spent counts for the one that goes on."""

import os
import time

import pytest

from gauntlet.core import spent


@pytest.fixture
def keep(tmp_path):
    (tmp_path / "partial" / "job").mkdir(parents=True)
    return tmp_path / "partial" / "job"


@pytest.fixture
def clock(monkeypatch):
    """A clock and CPU time that the test sets."""
    now = {"time": 1000.0, "cpu": 10.0}
    monkeypatch.setattr(time, "time", lambda: now["time"])
    monkeypatch.setattr(spent, "cpu_seconds", lambda: now["cpu"])
    return now


def test_only_what_is_kept_counts(keep, clock):
    assert spent.begin(keep).seconds == 0
    clock.update(time=1007.0, cpu=14.0)
    (keep / "pool").write_text("done")
    spent.mark(keep)
    clock.update(time=1009.0, cpu=15.0)  # lost: nothing was kept after the mark
    earlier = spent.begin(keep)
    assert (earlier.seconds, earlier.cpu_seconds) == (7.0, 4.0)
    clock.update(time=1012.0, cpu=17.0)
    spent.mark(keep)
    again = spent.begin(keep)
    assert (again.seconds, again.cpu_seconds) == (10.0, 6.0)
    spent.forget(keep)
    assert list(keep.parent.iterdir()) == [keep]


def test_nothing_is_counted_where_nothing_is_kept(keep, clock):
    spent.begin(keep)
    clock.update(time=1007.0)
    spent.mark(keep)
    assert spent.begin(keep).seconds == 0


def test_a_folder_inside_the_jobs_and_a_process_of_several(keep, clock, monkeypatch):
    spent.begin(keep)
    (keep / "linf").mkdir()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    monkeypatch.setenv("WORLD_SIZE", "2")
    for seconds, cpu in ((1003.0, 2.0), (1005.0, 3.0)):
        clock.update(time=seconds, cpu=cpu)
        spent.mark(keep / "linf")
    earlier = spent.begin(keep)
    assert (earlier.seconds, earlier.cpu_seconds) == (5.0, 6.0)


@pytest.mark.parametrize("text", ["", "[1]", '{"other": 1}', '{"seconds": 1'])
def test_a_damaged_record_counts_as_none(keep, text):
    (keep / "pool").write_text("done")
    keep.with_name("job.spent.json").write_text(text)
    assert spent.begin(keep).seconds == 0


def test_without_a_job_nothing_is_written(keep):
    spent.mark(keep)
    spent.mark(None)
    assert list(keep.parent.iterdir()) == [keep]
