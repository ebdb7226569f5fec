"""Runs as a user sees them: one line a job, the study's own table, Ctrl-C in one line."""

import os
import re
import subprocess
import sys

import pexpect
import pytest
import yaml

from tests.helpers.places import LIBRARY, ROOT
from tests.helpers.snakes import STUDY, house, merged, snakemake

pytestmark = pytest.mark.workflow
PATIENCE = 300  # seconds; a busy machine is slow
TINY = {
    "defenses": {"static": {"kind": "standard", "attack": None}},
    "studies": {
        "tiny": {"defenses": ["baseline"], "attacks": ["quick", "pgd3"], "transfer": None},
    },
}
# A training that lasts until it is stopped.
ENDLESS = merged(STUDY, {"run": ["endless"], "training": {"epochs": 90000}})
ENDLESS["studies"] = {"endless": STUDY["studies"]["tiny"] | {"defenses": ["pgd_at"]}}
ENDLESS["studies"]["endless"] |= {"transfer": None}
LINE = "Interrupted; run again to continue."


def small():
    study = {key: value for key, value in STUDY.items() if key != "studies"}
    tiny = {**STUDY["studies"]["tiny"], "defenses": ["baseline"], "attacks": ["quick", "pgd3"]}
    tiny.pop("transfer")
    return study | {"studies": {"tiny": tiny}}


def environment(**more):
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GAUNTLET_")}
    return kept | {"GAUNTLET_STORE": "off", "PYTHONPATH": str(LIBRARY)} | more


def gauntlet(folder, *words, **more):
    return subprocess.run(
        [sys.executable, "-m", "gauntlet", *words],
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small study, run by `gauntlet run` in a folder that is no checkout; what it printed."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "config.yaml").write_text(yaml.safe_dump(small()))
    done = gauntlet(folder, "run", "attacks.quick.eps=0.2", "--cores", "2")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return folder, done


def test_a_run_prints_one_line_a_job(run):
    _, done = run
    lines = done.stderr.splitlines()
    jobs = [line for line in lines if re.match(r"\[ *\d+/\d+\] \w+ .*\d+\.\d s$", line)]
    total = int(re.search(r"\[ *\d+/(\d+)\]", jobs[0]).group(1))
    assert len(jobs) == total and len(lines) < total + 10, done.stderr
    assert re.search(r"\] train_model +digits/article_cnn/baseline/seed0 ", done.stderr)
    assert "results/" not in "".join(jobs)
    assert re.search(
        r"^\$ snakemake --snakefile .* --cores 2 --configfile config.yaml", done.stderr
    )


def test_a_run_ends_with_the_table_and_the_page_of_its_study(run):
    folder, done = run
    assert re.search(r"^baseline +\d", done.stdout, re.MULTILINE)
    assert "quick: linf 0.2" in done.stdout
    page = re.search(r"^report +(\S+)$", done.stdout, re.MULTILINE).group(1)
    assert "studies/tiny/summary.csv" in (folder / page).read_text()
    assert done.stdout.count("worst case") == 1


def test_the_command_that_was_said_finds_nothing_to_do_and_shows_the_table(run):
    folder, done = run
    command = re.search(r"^\$ (snakemake .*)$", done.stderr, re.MULTILINE).group(1)
    again = subprocess.run(
        f"{sys.executable} -m {command}",
        shell=True,
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert again.returncode == 0 and "Nothing to be done" in again.stderr, again.stderr
    assert again.stdout == done.stdout
    other = subprocess.run(
        f"{sys.executable} -m {command.replace('snakemake', 'snakemake all', 1)} --dry-run",
        shell=True,
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert other.returncode == 0 and "worst case" not in other.stdout


def test_a_target_that_is_no_study_shows_no_table(run):
    folder, done = run
    command = re.search(r"^\$ (snakemake .*)$", done.stderr, re.MULTILINE).group(1)
    words = command.replace("snakemake", "snakemake results/data/digits/split.json", 1)
    done = subprocess.run(
        f"{sys.executable} -m {words}",
        shell=True,
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0 and done.stdout == "", done.stderr


def test_results_are_explained(run):
    folder, _ = run
    done = gauntlet(folder, "explain", "results/studies/tiny/summary.csv")
    assert done.returncode == 0, done.stderr
    for word in (
        "rule publish_tables",
        "snakemake --cores all --force",
        "python 3.",
        "train_model",
    ):
        assert word in done.stdout
    done = gauntlet(folder, "explain", "results/studies/tiny/robustness.csv:2", "--all")
    assert done.returncode == 0, done.stderr
    for word in ("attacks/pgd3/test/ledger.csv", "rule craft_examples", "rule train_model"):
        assert word in done.stdout
    assert re.search(r"points: .*steps 3", done.stdout)
    assert done.stdout.count("as it was written") == 2


def test_show_estimate_and_verify(run):
    folder, done = run
    assert gauntlet(folder, "show").stdout == done.stdout == gauntlet(folder, "show", "tiny").stdout
    told = gauntlet(folder, "estimate", "attacks.quick.eps=0.2", "--slots", "2")
    assert told.returncode == 0 and re.search(r"all +(\d+) +\1", told.stdout), told.stdout
    told = gauntlet(folder, "verify")
    assert told.returncode == 0 and " 0 damaged files" in told.stdout


def test_a_failure_shows_the_log_and_exit_code_1(run):
    folder, _ = run
    (folder / "broken.yaml").write_text(
        yaml.safe_dump(
            small() | {"models": {"article_cnn": {"arch": "factory", "factory": "no:no"}}}
        )
    )
    study = merged(small(), {"models": {"other": {"arch": "factory", "factory": "no_module:net"}}})
    study["run"], study["studies"] = (
        ["broken"],
        {"broken": study["studies"]["tiny"] | {"models": ["other"]}},
    )
    (folder / "broken.yaml").write_text(yaml.safe_dump(study))
    done = gauntlet(folder, "run", "broken.yaml", "--cores", "2")
    assert done.returncode == 1
    assert "Error in rule train_model (digits/other/baseline/seed0):" in done.stderr
    assert "no_module:net cannot be imported" in done.stderr and "Traceback" not in done.stderr
    assert "RuleException" not in done.stderr and "worst case" not in done.stdout


COMMANDS = {
    "gauntlet": [sys.executable, "-m", "gauntlet", "run", "endless.yaml", "--cores", "2"],
    "snakemake": [sys.executable, "-m", "snakemake", "--cores", "2"]
    + ["--configfile", "endless.yaml"],
    "make": ["make", "study", "CONFIG=endless.yaml", "CORES=2"],
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout with an environment, and a study that does not end."""
    home = house(tmp_path_factory.mktemp("checkout") / "house")
    (home / "endless.yaml").write_text(yaml.safe_dump(ENDLESS))
    (home / "Makefile").write_text((ROOT / "Makefile").read_text())
    (home / ".venv").mkdir()
    (home / ".venv" / "bin").symlink_to(os.path.dirname(sys.executable))
    (home / ".venv" / ".ready").touch()
    os.utime(home / ".venv" / ".ready", (2**31, 2**31))
    return home


@pytest.mark.parametrize("by", COMMANDS)
def test_ctrl_c_ends_a_run_with_one_line(by, checkout):
    """On a terminal: what runs is named with its progress, and an interrupt is no failure."""
    command, *words = COMMANDS[by]
    child = pexpect.spawn(
        command,
        words,
        cwd=str(checkout),
        env=environment(TERM="xterm"),
        timeout=PATIENCE,
        dimensions=(40, 160),
        encoding="utf-8",
    )
    child.expect(
        r"train_model +digits/article_cnn/pgd_at/seed0 +epoch \d+ of 90000 +robust [\d.]+%"
    )
    child.expect(r"\d+ of \d+ jobs")
    child.sendintr()
    child.expect_exact(LINE)
    child.expect(pexpect.EOF)
    child.close()
    assert (child.exitstatus, child.signalstatus) in ((130, None), (None, 2), (2, None))
    assert by == "make" or child.exitstatus == 130 or child.signalstatus == 2
    after = child.before
    assert not re.search("Traceback|KeyboardInterrupt|Error|WARNING", after), after
    assert not list((checkout / ".snakemake" / "locks").iterdir())


def test_after_ctrl_c_the_training_goes_on(checkout):
    """The last of the interrupted runs left a checkpoint: the next one begins there."""
    kept = list((checkout / ".gauntlet" / "partial").glob("*/*"))
    assert kept
    study = merged(ENDLESS, {"training": {"epochs": 90000}})
    printed = snakemake(checkout, "-n", study=study)
    assert "train_model" in printed
