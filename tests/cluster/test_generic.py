"""The profile for any scheduler: a stand-in records what it is asked, and runs the jobs."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
import yte

from gauntlet.runtime.cluster import job_names
from tests.helpers import schedulers, snakes

PROFILE = snakes.ROOT / "profiles" / "cluster-generic"
STUDY = snakes.merged(
    snakes.STUDY,
    {"studies": {"tiny": {"defenses": ["baseline"], "attacks": ["quick"], "transfer": None}}},
)
del STUDY["studies"]["tiny"]["transfer"]
SUMMARY = "results/studies/tiny/summary.csv"
ARGUMENTS = ("--profile", "profiles/cluster-generic", "--nocolor")
ARGUMENTS += ("--seconds-between-status-checks", "1")


@pytest.fixture
def cluster(tmp_path):
    schedulers.install(tmp_path)
    yield tmp_path
    schedulers.end_all(tmp_path)


def _call(cluster, name, *arguments, **environment):
    """Run one of the profile's scripts."""
    done = subprocess.run(
        [PROFILE / name, *arguments],
        cwd=cluster,
        env=schedulers.environment(cluster / "bin", **environment),
        capture_output=True,
        text=True,
    )
    return done.stdout.strip(), done.returncode, done.stderr


def _end(cluster, number="1"):
    while not (cluster / "jobs" / number / "code").exists():
        time.sleep(0.02)


def _script(cluster, text="exit 0"):
    (cluster / "job.sh").write_text(text)
    return str(cluster / "job.sh")


COMMANDS = {
    "slurm": (
        ("4", "3000", "90", "2"),
        "--parsable --job-name=n --output=.snakemake/cluster_logs/%j.log --nodes=1 --ntasks=1 "
        "--cpus-per-task=4 --mem=3000M --time=90 --gpus=2 --partition=x -A y",
    ),
    "pbs": (
        ("4", "3000", "90", "2"),
        "-N n -V -j oe -o .snakemake/cluster_logs/ -l select=1:ncpus=4:mem=3000mb:ngpus=2 "
        "-l walltime=1:30:00 --partition=x -A y",
    ),
}


@pytest.mark.parametrize("scheduler", COMMANDS)
def test_what_a_scheduler_is_asked(cluster, scheduler):
    sizes, command = COMMANDS[scheduler]
    script = _script(cluster)
    site = {"GAUNTLET_SCHEDULER": scheduler, "GAUNTLET_SUBMIT_OPTIONS": "--partition=x -A y"}
    assert _call(cluster, "submit", "n", *sizes, script, **site)[:2] == ("1", 0)
    assert schedulers.submitted(cluster)["1"] == [*command.split(), script]
    _call(cluster, "submit", "n", *sizes[:3], "0", script, GAUNTLET_SCHEDULER=scheduler)
    assert "gpu" not in " ".join(schedulers.submitted(cluster)["2"])


def test_a_scheduler_that_is_unknown_is_reported(cluster):
    _, code, printed = _call(
        cluster, "submit", *"n1111", _script(cluster), GAUNTLET_SCHEDULER="lsf"
    )
    assert code == 1 and printed == "GAUNTLET_SCHEDULER is 'lsf'; allowed are slurm and pbs\n"


@pytest.mark.parametrize("scheduler", COMMANDS)
def test_what_becomes_of_a_job(cluster, scheduler):
    """Running, then ended well, ended badly or canceled; unknown; and no answer at all."""
    site = {"GAUNTLET_SCHEDULER": scheduler}
    for text in ("exit 0", "exit 3", "sleep 60"):
        _call(cluster, "submit", *"n1110", _script(cluster, text), **site)
        time.sleep(0.2)  # the script is read by then
    _end(cluster, "1"), _end(cluster, "2")
    states = {number: _call(cluster, "status", number, **site)[0] for number in "1234"}
    assert states == {"1": "success", "2": "failed", "3": "running", "4": "failed"}
    (cluster / "jobs" / "down").touch()
    assert _call(cluster, "status", "1", **site)[:2] == ("running", 0)
    (cluster / "jobs" / "down").unlink()
    assert _call(cluster, "cancel", "3", **site)[1] == 0
    assert _call(cluster, "status", "3", **site)[0] == "failed"


CHANGED = snakes.merged(STUDY, {"attacks": {"quick": {"eps": 0.2}}})


def _home(cluster):
    home = snakes.house(cluster / "home")
    (home / "tiny.yaml").write_text(yaml.safe_dump(STUDY))
    (home / "changed.yaml").write_text(yaml.safe_dump(CHANGED))
    return home


FOLDERS = [(["--cores", "1"], "."), (["--directory", "../there"], "../there"), (["-d", "x"], "x")]


@pytest.mark.parametrize(("arguments", "folder"), FOLDERS)
@pytest.mark.parametrize("named", [["--profile", "."], ["--profile=."]])
def test_jobs_have_the_folders_prefix_and_the_scripts_are_found(
    monkeypatch, arguments, folder, named
):
    monkeypatch.chdir(PROFILE)
    monkeypatch.setattr(sys, "argv", ["snakemake", *named, *arguments])
    with open(PROFILE / "profile.yaml") as stream:
        settings = yte.process_yaml(stream, require_use_yte=True)
    submit = settings["cluster-generic-submit-cmd"]
    assert submit.startswith(f"{PROFILE}/submit {job_names.prefix(folder)}_{{name}} ")
    for name in ("submit", "status", "cancel"):
        path = settings[f"cluster-generic-{name}-cmd"].split()[0]
        assert Path(path).is_file() and path == str(PROFILE / name)


@pytest.mark.workflow
def test_an_attempt_that_failed_is_followed_by_one_that_asks_for_more(cluster):
    home = _home(cluster)
    (cluster / "jobs" / "fail").write_text("check_attacks")
    sizes = [f"check_attacks:{size}" for size in ("mem_mb=1000*attempt", "runtime=30*attempt")]
    command = [sys.executable, "-m", "snakemake", *ARGUMENTS, "--configfile", "tiny.yaml"]
    command += [
        "--set-resources",
        *sizes,
        "check_attacks:gpu=2",
        "--",
        "results/checks/quick/check.json",
    ]
    environment = schedulers.environment(cluster / "bin")
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = schedulers.submitted(cluster).values()
    name = job_names.prefix(str(home)) + "_check_attacks"
    assert {f"--job-name={name}", "--gpus=2", "--cpus-per-task=1", "--nodes=1"} <= set(first)
    assert {"--mem=1000M", "--time=30"} <= set(first)
    assert {"--mem=2000M", "--time=60"} <= set(second)


def _launch(cluster, home, study):
    command = [
        sys.executable,
        "-m",
        "gauntlet.runtime.cluster.launch",
        "--every",
        "2",
        "--",
        *ARGUMENTS,
    ]
    command += ["--configfile", study, "--set-resources", "craft_examples:gpu=1", "--", SUMMARY]
    with open(cluster / "printed", "a") as printed:
        return subprocess.Popen(
            command,
            cwd=home,
            env=schedulers.environment(cluster / "bin"),
            stdout=printed,
            stderr=printed,
        )


@pytest.mark.workflow
def test_a_study_whose_snakemake_was_killed_and_whose_settings_were_then_changed(cluster, tmp_path):
    """It ends with the bytes of a run that was never disturbed, and nothing is done in vain."""
    reference = snakes.house(tmp_path / "reference")
    snakes.snakemake(reference, "--keep-going", SUMMARY, study=CHANGED)
    home = _home(cluster)
    first = _launch(cluster, home, "tiny.yaml")
    while not schedulers.running(cluster, "craft_examples"):
        assert first.poll() is None, (cluster / "printed").read_text()[-3000:]
        time.sleep(0.1)
    first.send_signal(signal.SIGKILL)
    first.wait()
    printed = _ended(_launch(cluster, home, "changed.yaml"), cluster / "printed")
    assert (home / SUMMARY).read_bytes() == (reference / SUMMARY).read_bytes()
    assert "1 running and 0 waiting in the queue" in printed
    assert "4 files that finished while no Snakemake was running are whole and are kept" in printed
    commands = [" ".join(words) for words in schedulers.submitted(cluster).values()]
    assert sum("_train_model " in text for text in commands) == 1
    assert sum("_craft_examples " in text and "--gpus=1" in text for text in commands) == 2
    assert "jobs done" in printed


def _ended(process, printed: Path) -> str:
    code = process.wait(600)
    assert code == 0, printed.read_text()[-3000:]
    return printed.read_text()
