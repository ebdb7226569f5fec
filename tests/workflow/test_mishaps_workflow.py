"""Faults that meet a whole workflow: each ends in a sentence, and no table is wrong."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.faults.kill_jobs import differences
from tests.helpers.snakes import STUDY, finished, house, merged, planned, snakemake, twin

pytestmark = pytest.mark.workflow

STUDIES = {"studies": {"tiny": {"defenses": ["baseline", "pgd_at"]}}}
SMALL = merged(STUDY, STUDIES)
SUMMARY = "results/studies/tiny/summary.csv"
RUN = "results/runs/digits/article_cnn/pgd_at/seed0"
DAY = 24 * 3600


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("mishaps"), SMALL)


@pytest.fixture
def home(done, tmp_path):
    return twin(done, tmp_path)


def _cut(path: Path) -> None:
    """Lose the end of a file without a trace in its time, as a crashed file system can."""
    before = os.stat(path)
    path.write_bytes(path.read_bytes()[: before.st_size // 2])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _lose(home: Path, *names: str) -> None:
    for name in names:
        (shutil.rmtree if (home / name).is_dir() else os.remove)(home / name)


@pytest.mark.parametrize("name", [SUMMARY, "results/studies/tiny/figures/curves.png"])
def test_a_truncated_table_or_figure_is_reported_before_any_job(name, home):
    kept = (home / name).read_bytes()
    _cut(home / name)
    printed = snakemake(home, study=SMALL, check=False)
    assert f"{name} is not what" in printed and "Building DAG" not in printed
    for look in ("-n", "--unlock"):
        assert f"{name} is not what" in snakemake(home, look, study=SMALL)
    (home / name).unlink()
    snakemake(home, study=SMALL)
    assert (home / name).read_bytes() == kept


def test_a_truncated_result_gives_no_number(done, home):
    _cut(home / RUN / "best.pt")
    _lose(home, "results/studies", f"{RUN}/attacks/quick")
    printed = snakemake(home, study=SMALL, check=False)
    assert f"{RUN}/best.pt is not what train.provenance.json says was written" in printed
    assert not (home / RUN / "attacks/quick/test/ledger.csv").exists()
    (home / RUN / "best.pt").unlink()
    snakemake(home, study=SMALL)
    assert differences(done, home) == []


def test_a_file_that_disappears_is_made_again(done, home):
    _lose(home, "results/studies", f"{RUN}/attacks/quick", f"{RUN}/best.pt")
    _lose(home, "results/data/digits/images.npy")
    assert planned(home, SMALL)["train_model"] >= {"digits/article_cnn/pgd_at/0"}
    snakemake(home, study=SMALL)
    assert differences(done, home) == []


def _date(folder: Path, when: float) -> None:
    for path in folder.rglob("*.*"):
        os.utime(path, (when, when))


def test_a_clock_that_jumped_back_changes_no_result(done, home):
    """Weights older than what they were made of are made again, to the same bytes."""
    _date(home / RUN, time.time() - DAY)
    snakemake(home, study=SMALL)
    assert differences(done, home) == []


def test_results_from_the_future_are_reported_and_make_no_number(done, home):
    _date(home / "results/data", time.time() + DAY)
    changed = merged(SMALL, {"attacks": {"quick": {"eps": 0.12}}})
    printed = snakemake(home, study=changed, check=False)
    assert "clock skew" in printed and not (home / RUN / "attacks/quick/test/ledger.csv").exists()
    _date(home / "results/data", time.time())
    snakemake(home, study=SMALL)
    assert differences(done, home) == []


def test_two_snakemakes_on_one_folder(home):
    changed = merged(SMALL, {"training": {"epochs": 60}})
    (home / "first.yaml").write_text(yaml.safe_dump(changed))
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--nocolor"]
    best = f"{RUN}/best.pt"
    command += ["--configfile", "first.yaml", "--", best]
    first = subprocess.Popen(command, cwd=home, stdout=-1, stderr=subprocess.STDOUT, text=True)
    locks, end = home / ".snakemake" / "locks", time.monotonic() + 120
    while not (locks.is_dir() and any(locks.iterdir())) and time.monotonic() < end:
        time.sleep(0.05)
    assert first.poll() is None
    printed = snakemake(home, study=SMALL, check=False)
    assert "cannot be locked" in printed and "Traceback" not in printed
    printed = first.communicate(timeout=300)[0]
    assert first.returncode == 0, printed[-3000:]
    assert "Nothing to be done" in snakemake(home, "--", best, study=changed)


def test_results_that_cannot_be_written_are_reported_before_any_job(tmp_path):
    home = house(tmp_path / "house")
    (home / "results").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,ro", "tmpfs", str(home / "results")]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no read-only file system can be made here: {done.stderr.strip()}")
    try:
        printed = snakemake(home, study=SMALL, check=False)
    finally:
        subprocess.run(["umount", str(home / "results")], check=True)
    assert "Failed to create output directory" in printed and "Read-only file system" in printed
    assert "Traceback" not in printed


def test_a_full_disk_stops_the_study_and_room_lets_it_go_on(done, tmp_path):
    home = house(tmp_path / "house")
    results = home / "results"
    results.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", str(results)]
    failed = subprocess.run(mount, capture_output=True, text=True)
    if failed.returncode:
        pytest.skip(f"no small file system can be made here: {failed.stderr.strip()}")
    try:
        printed = snakemake(home, study=SMALL, check=False)
        assert "no space is left on its disk" in printed and "Traceback" not in printed
        assert not [path for path in results.rglob("*") if ".part" in path.name]
        assert not (home / SUMMARY).exists()
        more = ["mount", "-o", "remount,size=50m", str(results)]
        subprocess.run(more, check=True)
        snakemake(home, study=SMALL)
        assert differences(done, home) == []
    finally:
        while results.is_mount():  # where a remount lies on top of the first, there are two
            subprocess.run(["umount", str(results)], check=True)


@pytest.mark.parametrize(
    ("given", "instead"),
    [
        ("training.epochs=2", "training={epochs: 2}"),
        ("attacks.pgd3.eps=8/255", "attacks={pgd3: {eps: 8/255}}"),
    ],
)
def test_a_dotted_key_of_config_is_answered_with_what_to_write(given, instead, tmp_path):
    printed = snakemake(house(tmp_path / "house"), "-n", "--config", given, check=False)
    assert f"--config takes no dotted key; write --config '{instead}' for {given}." in printed
    assert "Traceback" not in printed
