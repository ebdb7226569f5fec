"""How far a workflow has come: from recorded logs and a recorded queue."""

import json

import pytest

from gauntlet.runtime.cluster import (
    job_names,
    slurm_queue,
    snakemake_log,
    snakemake_private,
    status,
)
from tests.helpers import schedulers
from tests.helpers.places import RECORDED

SLURM, GENERIC = (
    (RECORDED / f"{name}.snakemake.log").read_text().splitlines() for name in ("slurm", "generic")
)


def _until(lines, text):
    """Cut a log behind the last line that holds a text."""
    last = max(place for place, line in enumerate(lines) if text in line)
    return lines[: last + 1]


def _queued(number, state="RUNNING", gpus=0, seconds=60, comment=""):
    return slurm_queue.Queued(number, state, seconds, gpus, comment)


def _counts(rows):
    return {rule: (row.done, row.running, row.waiting, row.failed) for rule, row in rows.items()}


@pytest.fixture
def amidst():
    """A run that has just sent a group of two and four single jobs."""
    return snakemake_log.read(_until(SLURM, "SLURM jobid 21"))


def test_a_whole_run_is_read():
    run = snakemake_log.read(SLURM)
    assert run.planned == {
        "evaluate_robustness": 3,
        "train_model": 1,
        "transfer_examples": 2,
        "craft_examples": 3,
    }
    assert {job.state for job in run.jobs.values()} == {snakemake_log.DONE} and len(run.jobs) == 9
    (trained,) = run.external["15"]
    assert (trained.rule, trained.gpus) == ("train_model", 1)
    assert (
        trained.provenance == "results/runs/digits/article_cnn/static/seed0/train.provenance.json"
    )


def test_a_group_is_known_by_the_name_that_snakemake_gives_it(amidst):
    assert [job.rule for job in amidst.external["17"]] == ["evaluate_robustness"] * 2


def test_jobs_of_a_group_count_one_by_one(amidst):
    queued = [_queued("17"), _queued("18"), _queued("19", "PENDING"), _queued("20", "PENDING")]
    assert _counts(status.count([amidst], [*queued, _queued("21")], True)) == {
        "evaluate_robustness": (0, 2, 0, 0),
        "train_model": (1, 0, 0, 0),
        "transfer_examples": (1, 1, 0, 0),
        "craft_examples": (0, 1, 2, 0),
    }


def test_what_left_the_queue_runs_until_snakemake_saw_its_end_or_is_dead(amidst):
    alive = _counts(status.count([amidst], [], True))
    assert alive["craft_examples"] == (0, 3, 0, 0)
    dead = _counts(status.count([amidst], [], False))
    assert dead["craft_examples"] == (0, 0, 0, 0)


def test_orphans_of_an_earlier_run_are_counted_by_its_log(amidst):
    later = snakemake_log.Run(planned={"craft_examples": 5})
    rows = status.count([amidst, later], [_queued("17", "PENDING"), _queued("20")], False)
    assert rows["evaluate_robustness"].waiting == 2
    assert (rows["craft_examples"].running, rows["craft_examples"].planned) == (1, 5)


COMMENTS = [
    ("rule_craft_examples_wildcards_digits_train_model", "craft_examples"),
    ("rule_evals_evaluate_robustness", "evaluate_robustness"),
    ("rule_unheard_of_wildcards_x", "unheard_of"),
    ("", status.UNKNOWN),
]


@pytest.mark.parametrize(("comment", "rule"), COMMENTS)
def test_a_job_that_no_log_tells_of_is_known_by_its_comment(amidst, comment, rule):
    rows = status.count([amidst], [_queued("99", "PENDING", comment=comment)], False)
    assert {name for name, row in rows.items() if row.waiting} == {rule}


def test_a_failed_attempt_is_tried_again_and_then_done():
    failing = snakemake_log.read(
        _until(GENERIC, "Error in rule check_attacks:") + ["    jobid: 12"]
    )
    assert _counts(status.count([failing], None, True))["check_attacks"] == (0, 0, 0, 1)
    again = snakemake_log.read(_until(GENERIC, "Trying to restart job 12."))
    row = status.count([again], None, True)["check_attacks"]
    assert (row.failed, row.running, row.retried) == (0, 0, 1)
    row = status.count([snakemake_log.read(GENERIC)], None, True)["check_attacks"]
    assert (row.done, row.failed, row.retried) == (3, 0, 1)


def test_a_group_that_fails_fails_for_all_its_members(amidst):
    lines = _until(SLURM, "SLURM jobid 21")
    group = amidst.external["17"]
    members = [number for number, job in amidst.jobs.items() if job in group]
    for number in members:
        lines += ["    [now]", "    Error in rule evaluate_robustness:", f"        jobid: {number}"]
    failed = status.count([snakemake_log.read(lines)], None, True)["evaluate_robustness"]
    assert (failed.failed, failed.running, len(members)) == (2, 0, 2)
    lines.append("Trying to restart job 755136ab-8094-5f31-aff3-33a9c81d44d8.")
    again = status.count([snakemake_log.read(lines)], None, True)["evaluate_robustness"]
    assert (again.failed, again.retried) == (0, 2)


def test_array_tasks_are_told_apart():
    lines = _until(GENERIC, "Execute 2 jobs...")
    for number in (7, 8):
        lines += ["rule craft_examples:", f"    jobid: {number}"]
    sent = "Submitted array job with Snakemake IDs 7,8 and SLURM job ID 40. The individual task IDs"
    run = snakemake_log.read([*lines, f"{sent} are 1-2."])
    assert run.external == {"40_1": [run.jobs["7"]], "40_2": [run.jobs["8"]]}


def _folder(tmp_path, lines):
    (tmp_path / snakemake_private.LOGS).mkdir(parents=True)
    path = tmp_path / snakemake_private.LOGS / "2026-11-26T235338.741179.snakemake.log"
    path.write_text("\n".join(lines))
    for name, seconds in {
        "static/seed0/train": 1800,
        "static/seed0/attacks/quick/test/craft": 9,
    }.items():
        file = tmp_path / "results/runs/digits/article_cnn" / f"{name}.provenance.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({"seconds": seconds}))
    return tmp_path


def test_gpu_hours_are_those_of_jobs_that_had_gpus(tmp_path):
    folder = _folder(tmp_path, SLURM)
    assert status.gpu_hours(folder, snakemake_log.runs(folder)) == 0.5
    assert status.gpu_hours(folder, snakemake_log.runs(folder) * 2) == 0.5


def test_the_block_is_whole(tmp_path, monkeypatch):
    """With stand-ins for Slurm's commands: GPU-hours, a line a rule, and a silent controller."""
    monkeypatch.setenv("PATH", f"{schedulers.install(tmp_path / 'slurm')}:/usr/bin:/bin")
    folder = _folder(tmp_path / "study", _until(SLURM, "SLURM jobid 21"))
    job = tmp_path / "slurm" / "jobs" / "20"
    job.mkdir()
    (job / "command").write_text("")
    (job / "name").write_text(job_names.prefix(str(folder)) + "_x")
    lines = status.block(folder).splitlines()
    assert "2 of 9 jobs done, 1 running, 0 waiting, 0 failed" in lines[0]
    assert "GPU-hours: 0.50 of finished jobs, 0.00 of running ones" in lines[0]
    assert "  craft_examples            0/3         1         -         -         -" in lines
    (tmp_path / "slurm" / "jobs" / "down").touch()
    assert "gave squeue no answer" in status.block(folder).splitlines()[-1]


def test_a_folder_in_which_nothing_ever_ran(tmp_path):
    assert "0 of 0 jobs done" in status.block(tmp_path)


def test_a_dry_run_is_no_run(tmp_path):
    folder = _folder(tmp_path, ["Building DAG of jobs...", "Nothing to be done."])
    assert snakemake_log.runs(folder) == []


def test_lines_of_other_threads_within_a_group_do_not_tear_it_apart():
    places = [place for place, line in enumerate(SLURM) if line == "    rule evaluate_robustness:"]
    sent = "Job 18 has been submitted with SLURM jobid 16 (log: x)."
    torn = snakemake_log.read([*SLURM[: places[1] - 1], sent, *SLURM[places[1] - 1 :]])
    assert len(torn.external["17"]) == 2
