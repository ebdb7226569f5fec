"""Slurm's queue as squeue prints it, and a controller that does not answer."""

import pytest

from gauntlet.core.errors import GauntletError
from gauntlet.runtime.cluster import job_names, slurm_queue
from tests.helpers import schedulers
from tests.helpers.places import RECORDED

PRINTED = (RECORDED / "squeue.txt").read_text()


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{schedulers.install(tmp_path)}:/usr/bin:/bin")
    return tmp_path


def test_a_folder_has_one_prefix_whatever_leads_to_it(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    assert job_names.prefix(str(tmp_path / "link")) == job_names.prefix(str(tmp_path))
    assert job_names.prefix(str(tmp_path)) != job_names.prefix(str(tmp_path / "other"))
    assert job_names.prefix("/") == "gauntlet-8a5edab2"


def test_a_recorded_queue_is_read():
    found = {job.number: job for job in slurm_queue.parse(PRINTED, "gauntlet-0123abcd")}
    assert set(found) == {"32", "33", "34", "35_1", "35_2", "36"}
    assert {job.number for job in found.values() if job.waiting} == {"34", "35_1", "35_2", "36"}
    assert {number: job.gpus for number, job in found.items() if job.gpus} == {"32": 2, "34": 2}
    assert found["32"].seconds == 3
    assert found["32"].comment == "rule_train_model_wildcards_digits_article_cnn_pgd_at_0"
    assert found["36"].comment == "rule_craft_examples_wildcards_a|b c"


def test_another_folders_jobs_and_broken_lines_are_passed_over():
    assert not slurm_queue.parse(PRINTED, "gauntlet-76543210")
    assert not slurm_queue.parse("slurm_load_jobs: something else\n\n", "gauntlet-0123abcd")


TIMES = [("0:07", 7), ("12:03:04", 43384), ("1-02:03:04", 93784), ("INVALID", 0), ("", 0)]


@pytest.mark.parametrize(("text", "seconds"), TIMES)
def test_times(text, seconds):
    assert slurm_queue.seconds(text) == seconds


def _row(**cells):
    cells = {"JobArrayID": "7", "State": "RUNNING", "Name": "gauntlet-x", **cells}
    return "".join(
        cells.get(name, "N/A").ljust(width) for name, width in slurm_queue.COLUMNS.items()
    )


GPUS = [
    ({"tres-alloc": "cpu=4,mem=4G,node=1,billing=4,gres/gpu=2,gres/gpu:a100=2"}, 2),
    ({"tres-per-job": "gres:gpu:a100:4"}, 4),
    ({"tres-per-job": "gres/gpu:tesla"}, 1),
    ({"tres-per-node": "gres:gpu:2(S:0-1)", "NumNodes": "3"}, 6),
    ({"tres-alloc": "cpu=4,mem=4G"}, 0),
]


@pytest.mark.parametrize(("cells", "gpus"), GPUS)
def test_gpus_are_those_allocated_or_else_asked_for(cells, gpus):
    assert slurm_queue.parse(_row(**cells), "gauntlet-x")[0].gpus == gpus


def test_a_silent_controller_is_asked_again(cluster, monkeypatch):
    down = cluster / "jobs" / "down"
    down.touch()
    monkeypatch.setattr(slurm_queue.time, "sleep", lambda _: down.unlink(missing_ok=True))
    assert slurm_queue.jobs("gauntlet-x", patience=60, pause=0.01) == []


def test_a_controller_silent_for_long_is_one_sentence(cluster):
    (cluster / "jobs" / "down").touch()
    with pytest.raises(GauntletError, match="controller gave squeue no answer .*Unable to contact"):
        slurm_queue.jobs("gauntlet-x", patience=0.1, pause=0.05)


def test_without_slurm_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not slurm_queue.installed()
    with pytest.raises(GauntletError, match="squeue cannot be started"):
        slurm_queue.jobs("gauntlet-x")
