"""What the Slurm profile asks the cluster for, held against a recording sbatch."""

import json
import os
import re
import shlex
import stat
import sys

import pytest
import yte

from gauntlet.runtime.cluster import job_names
from tests.helpers import clusters, snakes

pytestmark = [pytest.mark.workflow]
SBATCH = """
import json, os, sys
with open("sbatch.jsonl", "a") as stream:
    told = {"arguments": sys.argv[1:], "warm": os.environ.get("GAUNTLET_WARM")}
    stream.write(json.dumps(told) + "\\n")
print(sum(1 for _ in open("sbatch.jsonl")))
"""
# Every job has failed as soon as somebody asks.
SQUEUE = """
for number in range(1, 100):
    print(f"{number}|FAILED")
"""
SCONTROL = """
print("AccountingStorageType   = accounting_storage/none")
print("MinJobAge               = 3600 sec")
"""
STUBS = {"sbatch": SBATCH, "squeue": SQUEUE, "scontrol": SCONTROL, "sinfo": ""}
STUBS["sacctmgr"] = 'print("team")'


def _stubs(folder):
    """Write programs that stand for Slurm's, and give an environment that finds them."""
    folder.mkdir()
    for name, text in STUBS.items():
        path = folder / name
        path.write_text(f"#!{sys.executable}\n{text}")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}


def _submitted(home):
    """Give what each call of sbatch was told: its options, and the command it wraps."""
    lines = (home / "sbatch.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def _value(message, *names):
    """Give the value of an option of sbatch, however it is written; None if it is absent."""
    words = message["arguments"]
    for place, word in enumerate(words):
        key, equals, value = word.partition("=")
        if key in names:
            return value if equals else words[place + 1]
    return None


@pytest.fixture(scope="module")
def trainings(tmp_path_factory):
    """Let two trainings on two GPUs fail until nobody tries again: what sbatch was told."""
    folder = tmp_path_factory.mktemp("submit")
    home = clusters.overlay(snakes.house(folder / "home"), snakes.STUDY)
    environment = _stubs(folder / "bin") | {"GAUNTLET_PARTITION": "all"}
    environment |= {"GAUNTLET_ACCOUNT": "team"}
    two = ("--set-resources", "train_model:gpu=2")
    run = clusters.Run(home, environment, "--until", "train_model", *two)
    printed = run.end(300)
    assert run.process.returncode != 0, printed
    return home, _submitted(home)


def test_a_job_says_what_it_needs(trainings):
    home, submitted = trainings
    first = submitted[0]
    assert int(_value(first, "--mem")) >= 1000 and int(_value(first, "-t")) >= 10
    assert _value(first, "--cpus-per-task") == "1"
    assert _value(first, "-p", "--partition") == "all"
    assert _value(first, "-A", "--account") == "team"
    assert _value(first, "--signal") == "USR1@60"
    assert _value(first, "-D") == str(home)


def test_several_gpus_stay_on_one_node_and_start_one_script(trainings):
    """Known of the plugin: spread over nodes (its issue 316), the script started twice (459)."""
    for message in trainings[1]:
        assert _value(message, "--gpus") == "2"
        assert _value(message, "--nodes") == "1"
        assert _value(message, "--ntasks", "--ntasks-per-gpu", "-n") in (None, "1")
        assert "-m snakemake" in _value(message, "--wrap")
        assert _value(message, "--wrap").count("-m snakemake") == 1


@pytest.mark.parametrize("option", ["--mem", "-t"])
def test_every_attempt_asks_for_twice_as_much_until_nobody_tries_again(option, trainings):
    """Two trainings of one size, tried four times each."""
    asked = sorted(int(_value(message, option)) for message in trainings[1])
    assert asked == sorted(asked[0] * factor for factor in (1, 1, 2, 2, 4, 4, 8, 8))


def test_all_jobs_of_a_folder_carry_its_prefix(trainings):
    home, submitted = trainings
    names = {_value(message, "--job-name") for message in submitted}
    assert len(names) == 1 and names.pop().startswith(f"{job_names.prefix(home)}_")


def test_small_rules_stay_where_snakemake_runs(trainings):
    home, submitted = trainings
    assert (home / "results" / "data" / "digits" / "split.json").exists()
    assert all("split_data" not in _value(message, "--wrap") for message in submitted)


def test_short_tasks_travel_together_and_take_turns(tmp_path):
    """Three checks of attacks are one job: its times add up, memory and cores do not."""
    environment, asked = _stubs(tmp_path / "bin"), {}
    for together, jobs in (("8", 1), ("1", 3)):
        home = clusters.overlay(snakes.house(tmp_path / together), snakes.STUDY)
        chosen = environment | {"GAUNTLET_TOGETHER": together}
        until = ["--until", "check_attacks", "--retries", "0"]
        clusters.Run(home, chosen, *until).end(300)
        submitted = _submitted(home)
        assert len(submitted) == jobs
        words = [shlex.split(_value(message, "--wrap")) for message in submitted]
        assert all("check_attacks" in found for found in words)
        for name in ("--mem", "-t", "--cpus-per-task"):
            asked[together, name] = [int(_value(message, name)) for message in submitted]
    assert asked["8", "-t"] == [sum(asked["1", "-t"])]
    assert asked["8", "--mem"] == [max(asked["1", "--mem"])]
    assert asked["8", "--cpus-per-task"] == [max(asked["1", "--cpus-per-task"])]


def test_without_settings_the_cluster_chooses(monkeypatch):
    for name in ("PARTITION", "GPU_PARTITION", "ACCOUNT", "GPU_MODEL"):
        monkeypatch.delenv(f"GAUNTLET_{name}", raising=False)
    with open(clusters.profile()) as stream:
        plain = yte.process_yaml(stream, require_use_yte=True)
    assert not {"slurm_partition", "slurm_account"} & plain["default-resources"].keys()
    assert "set-resources" not in plain


def test_gpu_jobs_alone_go_where_the_gpus_are(monkeypatch):
    monkeypatch.setenv("GAUNTLET_GPU_PARTITION", "fast")
    monkeypatch.setenv("GAUNTLET_GPU_MODEL", "a100")
    with open(clusters.profile()) as stream:
        made = yte.process_yaml(stream, require_use_yte=True)
    rules = (snakes.ROOT / "workflow" / "rules").glob("*.smk")
    blocks = "".join(path.read_text() for path in rules).split("rule ")[1:]
    asking = {block.split(":")[0] for block in blocks if re.search(r"gpu=(GPUS|train_gpus)", block)}
    assert made["set-resources"].keys() == asking
    wanted = {"slurm_partition": "'fast'", "gpu_model": "'a100'"}  # expressions of Python
    assert all(rule == wanted for rule in made["set-resources"].values())
