"""Choices of precision stand: in a study's folder, on the machine, whoever comes second."""

import json
import os
import subprocess

import pytest

from gauntlet.study import precision, precision_choices
from tests.helpers.bench import RUN, Bench, crafted


@pytest.fixture
def bench(monkeypatch, tmp_path):
    """A machine with flags of its own, that answers questions about speed, and says how often."""
    return Bench(monkeypatch, tmp_path)


def test_one_measurement_serves_all_jobs_folders_and_seeds(bench):
    assert {crafted(), crafted("fgsm"), crafted("curve"), crafted(run=(*RUN[:3], 7))} == {
        "bfloat16"
    }
    bench.plans_in("another")
    assert crafted() == "bfloat16" and len(bench.asked) == 1
    assert len(bench.kept("cache")) == 1 and len(bench.kept("another")) == 1


def test_a_choice_stands_in_its_folder_whatever_is_measured_later(bench):
    """Neither another machine, nor a lost or changed measurement, lets a study's jobs run again."""
    assert crafted() == "bfloat16"
    for path in bench.kept("cache"):
        path.unlink()
    bench.speedup = 0.5
    bench.has("fpu avx512_bf16", "another machine")
    assert crafted() == "bfloat16"
    bench.has("fpu avx2")  # which cannot multiply bfloat16, as a cluster's other nodes
    assert crafted() == "bfloat16" and len(bench.asked) == 1
    bench.plans_in("another")
    assert crafted() == "float32"
    bench.has("fpu avx512_bf16")  # what was planned without it stands too
    assert crafted() == "float32"


def test_a_damaged_file_is_measured_anew_with_one_line(bench, caplog):
    crafted()
    (path,) = bench.kept("cache")
    whole = path.read_text()
    for number, text in enumerate(("", "{", "[]", '{"precision": "int8"}', whole[:40], "\x00")):
        path.write_text(text)
        bench.plans_in(f"folder{number}")
        caplog.clear()
        assert crafted() == "bfloat16" and len(bench.asked) == number + 2
        damaged = [r for r in caplog.records if "cannot be read" in r.getMessage()]
        assert len(damaged) == 1 and str(path) in damaged[0].getMessage()
        assert json.loads(path.read_text()) == json.loads(whole)


def test_whoever_comes_second_takes_what_stands(tmp_path):
    question = {"a": 1}
    first = precision_choices.keep(str(tmp_path), question, {"precision": "bfloat16", "why": "1"})
    second = precision_choices.keep(str(tmp_path), question, {"precision": "float32", "why": "2"})
    assert first == second and second["why"] == "1"
    assert [path.suffix for path in tmp_path.iterdir()] == [".json"]


def test_a_folder_that_cannot_be_written_costs_a_line(bench, caplog):
    (bench.folder / "cache").write_text("a file")
    assert crafted() == "bfloat16"
    assert any("cannot be kept" in record.getMessage() for record in caplog.records)


def test_a_measurement_that_fails_leaves_float32_and_is_not_kept_for_others(bench, caplog):
    bench.speedup = subprocess.CalledProcessError(1, "x", stderr="Trace\nMemoryError: no more")
    assert crafted() == "float32"
    assert any("MemoryError: no more" in record.getMessage() for record in caplog.records)
    assert not bench.kept("cache") and len(bench.kept("study")) == 1
    bench.speedup = 2.0
    assert crafted() == "float32"  # what stands in the study's folder
    bench.plans_in("another")
    assert crafted() == "bfloat16"


def test_without_a_folder_of_a_run_what_stands_is_read_and_nothing_written(bench, monkeypatch):
    monkeypatch.chdir(bench.folder)
    monkeypatch.delenv(precision.FOLDER)
    assert crafted() == "bfloat16" and not (bench.folder / ".gauntlet").exists()
    precision.keep_in(precision.STUDY_FOLDER)
    bench.forget()
    assert crafted() == "bfloat16" and bench.kept(precision.STUDY_FOLDER)
    for path in [*bench.kept("cache")]:
        path.unlink()
    monkeypatch.delenv(precision.FOLDER)
    bench.speedup = 0.5
    bench.forget()
    assert crafted() == "bfloat16"


def test_where_the_measurements_are():
    assert precision.cache_folder({"XDG_CACHE_HOME": "/x"}) == "/x/gauntlet/precision"
    assert precision.cache_folder({precision.CACHE: "/y", "XDG_CACHE_HOME": "/x"}) == "/y"
    assert precision.cache_folder({"XDG_CACHE_HOME": "relative"}).startswith(
        os.path.expanduser("~")
    )
