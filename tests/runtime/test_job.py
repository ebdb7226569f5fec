"""Jobs: files appear whole or not at all, failures are one sentence, provenance tells all."""

import hashlib
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest

from gauntlet.core import spent
from gauntlet.core.errors import GauntletError
from gauntlet.runtime import job
from tests.helpers.arrays import own_process
from tests.helpers.places import LIBRARY

FINALS = ("table.csv", "record.json", "table.provenance.json")


@pytest.fixture(autouse=True)
def _as_before(monkeypatch):
    with own_process(monkeypatch):
        yield


@pytest.fixture
def task(tmp_path):
    for name in ("one.txt", "two.txt", "three.txt"):
        (tmp_path / name).write_text(name)
    inputs = {"data": str(tmp_path / "one.txt")}
    inputs["ledgers"] = [str(tmp_path / name) for name in ("two.txt", "three.txt")]
    (tmp_path / "out").mkdir()
    names = dict(zip(("table", "record", "provenance"), FINALS, strict=True))
    return {
        "rule": "make_table",
        "gpus": 0,
        "stage": "make_table",
        "inputs": inputs,
        "outputs": {name: str(tmp_path / "out" / file) for name, file in names.items()},
        "params": {"spec": {"seed": 3}, "code": "abc"},
        "log": str(tmp_path / "logs" / "deep" / "make_table.log"),
    }


def _stage(data, ledgers, table, record, *, spec):
    Path(table).write_text(Path(data).read_text() + str(len(ledgers)))
    Path(record).write_text(json.dumps(spec))


def _failing(error):
    def stage(data, ledgers, table, record, *, spec):
        _stage(data, ledgers, table, record, spec=spec)
        raise error

    return stage


def _left(task):
    return sorted(os.listdir(Path(task["outputs"]["table"]).parent))


def test_outputs_appear_only_when_all_is_done(task):
    seen = []

    def stage(data, ledgers, table, record, *, spec):
        _stage(data, ledgers, table, record, spec=spec)
        seen.extend(_left(task))
        assert Path(table).suffix == ".csv" and Path(record).suffix == ".json"

    assert job.perform(stage, task) == 0
    assert len(seen) == 2 and not set(seen) & set(FINALS)
    assert all(name.startswith(".") for name in seen)
    assert _left(task) == sorted(FINALS)
    assert Path(task["outputs"]["table"]).read_text() == "one.txt2"
    assert "make_table done" in Path(task["log"]).read_text()


def test_provenance_tells_what_when_and_from_what(task):
    def slow(data, ledgers, table, record, *, spec):
        time.sleep(0.05)
        _stage(data, ledgers, table, record, spec=spec)

    assert job.perform(slow, task) == 0
    record = json.loads(Path(task["outputs"]["provenance"]).read_text())
    assert (record["rule"], record["spec"], record["code"]) == ("make_table", {"seed": 3}, "abc")
    files = [task["inputs"]["data"], *task["inputs"]["ledgers"]]
    outputs = [task["outputs"]["table"], task["outputs"]["record"]]
    for key, paths in (("inputs", files), ("outputs", outputs)):
        sums = {path: hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths}
        assert record[key] == sums
    assert record["versions"]["python"] == platform.python_version()
    for name in ("torch", "numpy", "pandas"):
        assert record["versions"][name] == metadata.version(name)
    assert 0.05 <= record["seconds"] < 5 and 0 <= record["cpu_seconds"] < 5
    assert record["peak_rss_mb"] > 1 and record["hardware"]["cores"] == os.cpu_count()


@pytest.mark.parametrize(
    ("error", "trace"),
    [
        (GauntletError("eps is 3; allowed is 0 to 1."), False),
        (ValueError("a plain bug"), True),
        (MemoryError("no more"), True),
    ],
    ids=["refusal", "bug", "memory"],
)
def test_a_failure_leaves_a_log_and_nothing_else(error, trace, task, capsys):
    assert job.perform(_failing(error), task) == 1
    assert _left(task) == []
    message = capsys.readouterr()
    for text in (Path(task["log"]).read_text(), message.err):
        lines = text.strip().splitlines()
        assert str(error) in text and "make_table" in text
        assert (len(lines) > 1) == trace and ("Traceback" in text) == trace
    assert message.out == ""


def test_a_forgotten_output_is_a_failure(task):
    def stage(data, ledgers, table, record, *, spec):
        Path(table).write_text("half of the work")

    assert job.perform(stage, task) == 1
    assert _left(task) == []
    assert "record.json" in Path(task["log"]).read_text()


@pytest.mark.parametrize("error", [GauntletError("no."), None], ids=["fails", "succeeds"])
def test_earlier_results_are_replaced_whole_or_kept(error, task):
    for path in task["outputs"].values():
        Path(path).write_text("before")
    code = job.perform(_failing(error) if error else _stage, task)
    texts = [Path(path).read_text() for path in task["outputs"].values()]
    assert code == (1 if error else 0) and ("before" in texts) == bool(error)
    assert set(texts) == {"before"} or "before" not in texts
    assert len(_left(task)) == 3


def test_leftovers_of_a_dead_process_are_swept(task):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    folder, host = Path(task["outputs"]["table"]).parent, socket.gethostname()
    dead = [folder / f".table.{host}-{ended.pid}.part.csv"]
    dead += [folder / f".table.provenance.{host}-{ended.pid}.part.json"]
    kept = [folder / f".table.{host}-{os.getppid()}.part.csv"]  # it lives
    kept += [folder / f".table.{host}2-{ended.pid}.part.csv"]  # another machine's
    kept += [folder / f".tables.{host}-{ended.pid}.part.csv", folder / "table.part.csv"]
    for path in dead + kept:
        path.write_text("")
    assert job.perform(_failing(GauntletError("no.")), task) == 1
    assert _left(task) == sorted(path.name for path in kept)


def test_the_stage_gets_only_the_params_it_names(task):
    def stage(data, ledgers, table, record):
        _stage(data, ledgers, table, record, spec={})

    assert job.perform(stage, task) == 0


def test_sigterm_leaves_nothing(task, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import json, sys, time\n"
        "from pathlib import Path\n"
        "from gauntlet.runtime import job\n"
        "def stage(data, ledgers, table, record, *, spec):\n"
        "    Path(record).write_text('half'); Path(table).write_text('half')\n"
        "    time.sleep(60)\n"
        "sys.exit(job.perform(stage, json.loads(sys.argv[1])))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(LIBRARY)}
    child = subprocess.Popen([sys.executable, script, json.dumps(task)], env=environment)
    try:
        end = time.monotonic() + 20
        while len(_left(task)) < 2 and time.monotonic() < end:
            time.sleep(0.02)
        assert len(_left(task)) == 2
        child.terminate()
        assert child.wait(20) == 128 + signal.SIGTERM
        assert "asked to stop (SIGTERM)" in Path(task["log"]).read_text()
    finally:
        child.kill()
        child.wait()
    assert _left(task) == []


def test_what_is_kept_is_found_again_by_the_same_work_only(task, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen = []

    def stage(data, ledgers, table, record, *, spec, keep):
        seen.append(keep)
        if len(list(keep.iterdir())) < 2:
            (keep / f"part{len(list(keep.iterdir()))}").write_text("done")
            raise GauntletError("interrupted")
        Path(table).write_text("t")
        Path(record).write_text("r")

    assert [job.perform(stage, task) for _ in range(3)] == [1, 1, 0]
    assert len(set(seen)) == 1 and not seen[0].exists()
    job.perform(stage, task | {"params": {"spec": {"seed": 4}, "code": "abc"}})
    Path(task["inputs"]["data"]).write_text("changed")
    job.perform(stage, task)
    assert len(set(seen)) == 3


def test_seconds_of_a_job_that_goes_on_are_those_of_all_its_attempts(task, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def stage(data, ledgers, table, record, *, spec, keep):
        time.sleep(0.3)
        done = len(list(keep.iterdir()))
        (keep / f"part{done}").write_text("done")
        spent.mark(keep)
        if done < 2:
            raise GauntletError("interrupted")
        Path(table).write_text("t")
        Path(record).write_text("r")

    assert [job.perform(stage, task) for _ in range(3)] == [1, 1, 0]
    found = json.loads(Path(task["outputs"]["provenance"]).read_text(encoding="utf-8"))
    assert found["seconds"] >= 0.9
    assert list(Path(job.KEPT).iterdir()) == []
