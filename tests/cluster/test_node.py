"""What Snakemake's helper on a node sees to, and what stands in for sacct."""

import os
import signal
import stat
import subprocess

import pytest

from gauntlet.runtime import worker
from gauntlet.runtime.cluster import node
from tests.helpers import clusters

STAND_IN = clusters.profile().parent / "no_accounting"
OTHERS = "/usr/bin/python:/tmp/of-the-login-node/socket"

pytestmark = pytest.mark.usefixtures("given_back")


def _settle(monkeypatch, sharing=False, **environment):
    """Settle in an environment; give the address of the worker that a task would find."""
    for name in (worker.ADDRESS, node.JOB, node.OWNER):
        monkeypatch.setenv(name, "")  # so that it is as before after the test
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(worker, "start", lambda: os.environ.__setitem__(worker.ADDRESS, "started"))
    node.settle_on_node(sharing)
    return os.environ.get(worker.ADDRESS)


def test_a_warning_ends_only_the_stage(monkeypatch):
    """Snakemake and the shell below it go on; a process below them that handles it gets it."""
    _settle(monkeypatch)
    script = (
        "import os, signal; signal.signal(10, lambda *_: os._exit(7)); os.kill(os.getpid(), 10)"
    )
    os.kill(os.getpid(), signal.SIGUSR1)
    shell = subprocess.run(["bash", "-c", 'kill -USR1 $$; python3 -c "$0"; exit $?', script])
    assert shell.returncode == 7


@pytest.mark.parametrize(
    ("environment", "sharing", "found"),
    [
        ({worker.ADDRESS: OTHERS}, False, None),
        ({worker.ADDRESS: OTHERS, node.JOB: "7"}, False, None),
        ({worker.ADDRESS: OTHERS, node.OWNER: "6", node.JOB: "7"}, False, None),
        ({worker.ADDRESS: OTHERS, node.OWNER: "7", node.JOB: "7"}, False, OTHERS),
        ({worker.ADDRESS: OTHERS, node.JOB: "7"}, True, "started"),
        ({worker.ADDRESS: OTHERS}, True, None),
        ({worker.ADDRESS: "off", node.JOB: "7"}, False, "off"),
    ],
)
def test_only_the_worker_of_its_own_job_is_used(environment, sharing, found, monkeypatch):
    assert _settle(monkeypatch, sharing, **environment) == found


@pytest.mark.parametrize(
    ("answer", "replaced"),
    [
        ("AccountingStorageType   = accounting_storage/none", True),
        ("AccountingStorageType   = (null)", True),
        ("AccountingStorageType   = accounting_storage/slurmdbd", False),
    ],
)
def test_sacct_is_replaced_only_where_there_are_no_accounts(
    answer, replaced, tmp_path, monkeypatch
):
    _program(tmp_path / "scontrol", f"echo '{answer}'; echo 'AccountingStorageHost = (null)'")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    node.answer_for_sacct(STAND_IN)
    assert os.environ["PATH"].startswith(str(STAND_IN)) is replaced


def test_without_slurm_nothing_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    node.answer_for_sacct(STAND_IN)
    assert os.environ["PATH"] == str(tmp_path)


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        (
            "-X --noheader --format=JobIdRaw,State --name run7",
            "--name run7 --format=%i|%T",
        ),
        ("-j 12 -n -X -o nodelist%-256", "--jobs 12 --format=%N"),
        ("-j 12.0 --format=Reason --noheader", "--jobs 12 --format=%r"),
        ("-j 12.3 --format=Reason --noheader", None),
        ("-nu somebody -o Account%256", None),
    ],
)
def test_the_stand_in_asks_the_queue(question, asked, tmp_path):
    _program(tmp_path / "squeue", 'echo "$@"')
    command = [str(STAND_IN / "sacct"), *question.split()]
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(command, env=path, capture_output=True, text=True, check=True)
    expected = f"--noheader --states=all {asked}" if asked else ""
    assert done.stdout.strip() == expected


def _program(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
