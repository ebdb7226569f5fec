"""Runs as a user sees them: one line a job, the study's own table, Ctrl-C in one line."""

import os
import re
import shutil
import subprocess
import sys

import pexpect
import pytest
import yaml

from tests.helpers.places import LIBRARY, ROOT
from tests.helpers.snakes import STUDY, house, merged

pytestmark = pytest.mark.workflow
PATIENCE = 300  # seconds; a busy machine is slow
TABLE = "tables   results/studies/"  # below each table
LINE = "Interrupted; run again to continue."
SAID = re.compile(r"^\$ (snakemake .*)$", re.MULTILINE)  # the command that does the same


def of_one(name, defense):
    """Give a study of one model that is trained in one way, and attacked in two."""
    study = {**STUDY["studies"]["tiny"], "defenses": [defense], "attacks": ["quick", "pgd3"]}
    study.pop("transfer")
    return {**STUDY, "run": [name], "studies": {name: study}}


SMALL = of_one("tiny", "baseline")
# A training that lasts until it is stopped.
ENDLESS = merged(of_one("endless", "pgd_at"), {"training": {"epochs": 90000}})


def environment(**more):
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GAUNTLET_")}
    return kept | {"GAUNTLET_STORE": "off", "PYTHONPATH": str(LIBRARY)} | more


def start(folder, *command):
    """Run a command of this environment's Python in a folder."""
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small study, run by `gauntlet run` in a folder that is no checkout; what it printed."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "config.yaml").write_text(yaml.safe_dump(SMALL))
    done = start(folder, "gauntlet", "run", "attacks.quick.eps=0.2", "--cores", "2")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return folder, done


def test_a_run_prints_one_line_a_job(run):
    _, done = run
    lines = done.stderr.splitlines()
    jobs = [line for line in lines if re.match(r"\[ *\d+/\d+\] \w+ .*\d+\.\d s$", line)]
    total = int(re.search(r"\[ *\d+/(\d+)\]", jobs[0]).group(1))
    assert len(jobs) == total and len(lines) < total + 12, done.stderr
    assert re.search(r"\] train_model +digits/article_cnn/baseline/seed0 ", done.stderr)
    assert "results/" not in "".join(jobs)
    said = SAID.search(done.stderr).group(1)
    assert re.search(r"--snakefile .* --cores 2 --configfile config.yaml", said)


def test_a_run_ends_with_the_table_and_the_page_of_its_study(run):
    folder, done = run
    assert re.search(r"^baseline +\d", done.stdout, re.MULTILINE)
    assert "quick: linf 0.2" in done.stdout
    page = re.search(r"^report +(\S+)$", done.stdout, re.MULTILINE).group(1)
    assert "studies/tiny/summary.csv" in (folder / page).read_text()
    assert done.stdout.count(TABLE) == 1


# What is asked for besides, and whether the study's table ends the run.
TARGETS = [([], True), (["results/data/digits/split.json"], False), (["--dry-run"], False)]


@pytest.mark.parametrize(("more", "shown"), TARGETS, ids=["study", "file", "dry run"])
def test_where_nothing_is_to_be_done_the_table_of_what_was_asked_for_is_shown(more, shown, run):
    """By the Snakemake command that `gauntlet run` says it has started."""
    folder, done = run
    words = SAID.search(done.stderr).group(1).split()[1:]
    again = start(folder, "snakemake", *more, *words)
    assert again.returncode == 0 and "Nothing to be done" in again.stderr + again.stdout
    assert (TABLE in again.stdout) == shown
    assert not shown or again.stdout == done.stdout


def test_results_are_explained(run):
    folder, _ = run
    done = start(folder, "gauntlet", "explain", "results/studies/tiny/summary.csv")
    assert done.returncode == 0, done.stderr
    for word in ("rule publish_tables", "snakemake --cores all --force", "python 3.", "1 train_"):
        assert word in done.stdout
    row = "results/studies/tiny/robustness.csv:2"
    done = start(folder, "gauntlet", "explain", row, "--all")
    assert done.returncode == 0, done.stderr
    for word in ("attacks/pgd3/test/ledger.csv", "rule craft_examples", "rule train_model"):
        assert word in done.stdout
    assert re.search(r"points: .*steps 3", done.stdout)
    assert done.stdout.count("as it was written") == 2


def test_show_estimate_and_verify(run):
    folder, done = run
    every, one = start(folder, "gauntlet", "show"), start(folder, "gauntlet", "show", "tiny")
    assert every.stdout == done.stdout == one.stdout
    message = start(folder, "gauntlet", "estimate", "attacks.quick.eps=0.2", "--slots", "2")
    assert message.returncode == 0, message.stderr
    assert re.search(r"^all +(\d+) +", message.stdout, re.MULTILINE), message.stdout
    message = start(folder, "gauntlet", "verify")
    assert message.returncode == 0 and " 0 damaged files" in message.stdout


def test_a_failure_shows_the_log_and_no_table(run):
    folder, _ = run
    other = {"other": {"arch": "factory", "factory": "no_module:net"}}
    study = merged(of_one("broken", "baseline"), {"models": other})
    study["studies"]["broken"]["models"] = ["other"]
    (folder / "broken.yaml").write_text(yaml.safe_dump(study))
    done = start(folder, "gauntlet", "run", "broken.yaml", "--cores", "2")
    assert done.returncode == 1
    assert "Error in rule train_model (digits/other/baseline/seed0):" in done.stderr
    assert "no_module:net cannot be imported" in done.stderr and "Traceback" not in done.stderr
    assert "RuleException" not in done.stderr and TABLE not in done.stdout


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
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy2(ROOT / name, home)
    (home / ".venv").mkdir()
    (home / ".venv" / "bin").symlink_to(os.path.dirname(sys.executable))
    (home / ".venv" / ".ready").touch()
    os.utime(home / ".venv" / ".ready", (2**31, 2**31))  # newer than the pinned lock
    return home


@pytest.mark.parametrize("by", COMMANDS)
def test_ctrl_c_ends_a_run_with_one_line(by, checkout):
    """On a terminal: what runs is named with its progress, and an interrupt is no failure."""
    command, *words = COMMANDS[by]
    terminal = {"dimensions": (40, 160), "encoding": "utf-8", "timeout": PATIENCE}
    child = pexpect.spawn(
        command, words, cwd=str(checkout), env=environment(TERM="xterm"), **terminal
    )
    child.expect(r"train_model +digits/article_cnn/pgd_at/seed0 +epoch \d+ of 90000")
    child.expect(r"robust [\d.]+%")
    child.expect(r"\d+ of \d+ jobs")
    child.sendintr()
    child.expect_exact(LINE)
    child.expect(pexpect.EOF)
    child.close()
    ended = child.exitstatus if child.signalstatus is None else 128 + child.signalstatus
    assert ended == (2 if by == "make" and child.signalstatus is None else 130)
    assert not re.search("Traceback|KeyboardInterrupt|Error in|WARNING", child.before)
    assert not list((checkout / ".snakemake" / "locks").glob("*"))


def test_after_ctrl_c_the_training_goes_on(checkout):
    """What the interrupted runs had trained is kept, and was found by the next one."""
    assert list((checkout / ".gauntlet" / "partial").glob("*/*"))
    log = next((checkout / "logs").rglob("pgd_at/seed0/train.log"))
    assert "goes on in epoch" in log.read_text()
