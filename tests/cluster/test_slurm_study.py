"""On a real Slurm with GPUs: the default study gives the bytes that it gives on this machine."""

import subprocess
import sys

import pytest

from tests.helpers import clusters, snakes

pytestmark = [pytest.mark.slurm, pytest.mark.workflow]
TABLES = ("summary.csv", "robustness.csv", "certificates.csv")
STUDY = "results/studies/quickstart"
GPU_RULES = ("train_model", "craft_examples", "transfer_examples")


def _local(tmp_path_factory):
    """Give the folder of a local run: this checkout if it is up to date, else a fresh one."""
    plan = [sys.executable, "-m", "snakemake", "--cores", "2", "-n", "--nolock"]
    done = subprocess.run(plan, cwd=snakes.ROOT, capture_output=True, text=True, timeout=300)
    if done.returncode == 0 and "Nothing to be done" in done.stdout + done.stderr:
        return snakes.ROOT
    home = snakes.house(tmp_path_factory.mktemp("local") / "home")
    snakes.snakemake(home, "--nocolor", *_targets(), study={"run": ["quickstart"]})
    return home


def _targets():
    return [f"{STUDY}/{name}" for name in TABLES]


@pytest.fixture(scope="module")
def on_cluster(slurm, tmp_path_factory):
    """Run the default study through the profile, each of its large tasks with a GPU."""
    folder = tmp_path_factory.mktemp("study") / "home"
    home = clusters.overlay(snakes.house(folder), {"run": ["quickstart"]})
    gpus = [f"{rule}:gpu=1" for rule in GPU_RULES]
    run = clusters.Run(home, slurm.environment, *_targets(), "--set-resources", *gpus)
    printed = run.end(1800)
    assert run.process.returncode == 0, printed[-6000:]
    return run


def test_the_default_study_gives_the_same_tables(on_cluster, tmp_path_factory):
    local = _local(tmp_path_factory)
    for target in _targets():
        assert (on_cluster.home / target).read_bytes() == (local / target).read_bytes()


def test_a_gpu_is_given_to_each_job_that_asks(on_cluster):
    for rule in GPU_RULES:
        starts = on_cluster.starts(rule)
        assert starts and {start.devices for start in starts} <= {"0", "1"}
    nodes = {start.node for rule in GPU_RULES for start in on_cluster.starts(rule)}
    assert nodes == {"node1", "node2"}


def test_each_script_starts_once(on_cluster):
    assert "Trying to restart" not in on_cluster.printed()
    assert len(on_cluster.starts("train_model")) == 18
    assert len({start.job for start in on_cluster.starts("train_model")}) == 18


def test_short_tasks_share_few_jobs(on_cluster):
    for rule, tasks in (("craft_examples", 75), ("evaluate_robustness", 18)):
        starts = on_cluster.starts(rule)
        assert len(starts) == tasks
        assert len({start.job for start in starts}) <= tasks / 3


def test_no_job_knows_the_worker_of_the_process_that_sent_it(on_cluster):
    """A single job has none; the tasks of a group share one that is of their own node."""
    assert {start.worker for start in on_cluster.starts("train_model")} == {"-"}
    workers = {}
    for start in on_cluster.starts("craft_examples"):
        workers.setdefault(start.job, set()).add(start.worker)
    assert all(len(found) == 1 for found in workers.values())
    shared = [worker for found in workers.values() for worker in found]
    assert len(set(shared)) == len(shared)
    local = {start.worker for start in on_cluster.starts("collect_results")}
    assert local and not local & set(shared)
