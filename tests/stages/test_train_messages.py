"""What the job makes of its processes' reports, whatever order they come in."""

import json
import socket
from multiprocessing.connection import Client

import pytest

from gauntlet.stages import train_messages
from gauntlet.stages.train_messages import KILLED, Reports

BROKEN = {"failed": "RuntimeError: connection closed by peer", "ours": False, "trace": "..."}
MENDABLE = {"failed": "weights.pt is no readable file", "ours": True, "trace": "..."}


def send(process, **report):
    process.send_bytes(json.dumps(report).encode())


@pytest.fixture
def group(tmp_path):
    """Reports, and two processes that are connected to it."""
    address = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(2)
        with Reports(listener) as reports:
            processes = [Client(address, "AF_UNIX") for _ in range(2)]
            for rank, process in enumerate(processes):
                send(process, rank=rank)
            reports.listen(0)
            assert reports.end is None
            yield reports, *processes
            for process in processes:
                process.close()


def test_a_killed_process_is_the_cause_though_another_reports_first(group):
    reports, killed, survivor = group
    send(survivor, **BROKEN)
    reports._take(0)  # the broken connection comes only after that
    assert reports.end is None
    killed.close()
    reports.listen(0)
    assert reports.end == KILLED | {"rank": 0}


def test_the_first_failure_counts_where_nothing_was_killed(group):
    reports, first, second = group
    send(first, **BROKEN | {"failed": "ValueError: the cause"})
    reports._take(0)
    send(second, **BROKEN)
    reports.listen(0)
    assert (reports.end["failed"], reports.end["rank"]) == ("ValueError: the cause", 0)


def test_a_failure_waits_only_some_time_for_a_cause(group, monkeypatch):
    monkeypatch.setattr(train_messages, "CAUSE", 0.05)
    reports, _, survivor = group
    send(survivor, **BROKEN)
    reports.listen(0)
    assert reports.end == BROKEN | {"rank": 1}


def test_what_a_user_can_mend_waits_for_nothing(group):
    reports, _, other = group
    send(other, **MENDABLE)
    reports.listen(0)
    assert reports.end == MENDABLE | {"rank": 1}


def test_a_process_that_ends_without_a_report_was_killed(group):
    reports, killed, _ = group
    killed.close()
    reports.listen(0)
    assert reports.end == KILLED | {"rank": 0}
