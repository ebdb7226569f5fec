"""The store below Snakemake: what Snakemake runs again is computed only if it must be."""

import os
import re
import shutil
import time
from pathlib import Path

import pytest

from tests.helpers.snakes import STUDY, finished, house, merged, snakemake, twin

pytestmark = pytest.mark.workflow

SMALL = merged(STUDY, {"studies": {"tiny": {"defenses": ["baseline", "pgd_at"]}}})
EPS = merged(SMALL, {"attacks": {"quick": {"eps": 0.12}}})
SUMMARY = "results/studies/tiny/summary.csv"
TRAINING = "workflow/lib/gauntlet/training/loop.py"


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("store"), SMALL)


@pytest.fixture
def home(done, tmp_path):
    """A finished study of this test's own."""
    return twin(done, tmp_path)


def _run(home: Path, study=SMALL, *arguments: str) -> tuple[set[str], set[str]]:
    """Run a study; give the rules of jobs that computed, and of those that took from the store."""
    start = time.time()
    printed = snakemake(home, *arguments, study=study)
    texts = [p.read_text() for p in (home / "logs").rglob("*.log") if p.stat().st_mtime >= start]
    taken = {rule for text in texts for rule in re.findall(r"(\w+) is taken from the store", text)}
    made = {
        rule
        for text in texts
        if " is taken " not in text
        for rule in re.findall(r"(\w+) done", text)
    }
    assert made | taken or "Nothing to be done" in printed
    return made, taken


def _edit(home: Path, old: str, new: str) -> None:
    path = home / TRAINING
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_retraining_to_the_same_bytes_recomputes_no_attack(home):
    before = (home / SUMMARY).read_bytes()
    _edit(home, "first, rate = 0, None\n", "rate, first = None, 0\n")
    made, taken = _run(home)
    # training time stands in one of the tables and in its figure, which complete the study anew;
    # nothing else is computed again
    assert made == {"train_model", "publish_tables", "plot_compute", "complete_study"}
    assert {"craft_examples", "evaluate_robustness", "plot_examples", "plot_curves"} <= taken
    assert (home / SUMMARY).read_bytes() == before


def test_a_setting_changed_and_changed_back_computes_nothing(home):
    before = (home / SUMMARY).read_bytes()
    made, _ = _run(home, EPS, "--", SUMMARY)
    assert "craft_examples" in made and (home / SUMMARY).read_bytes() != before
    made, taken = _run(home, SMALL, "--", SUMMARY)
    assert made == set() and {"craft_examples", "publish_tables"} <= taken
    assert (home / SUMMARY).read_bytes() == before


def test_without_snakemakes_memory_nothing_is_computed(home):
    before = (home / SUMMARY).read_bytes()
    shutil.rmtree(home / ".snakemake")
    for path in (home / "results").rglob("*.npy"):
        os.utime(path)  # as a restored backup or another checkout would have it
    made, taken = _run(home, SMALL, "--", SUMMARY)
    assert made == set() and "craft_examples" in taken
    assert (home / SUMMARY).read_bytes() == before


def test_code_changed_and_changed_back_computes_nothing(home):
    """As when a branch is switched and switched back."""
    text = (home / TRAINING).read_text()
    _edit(home, "totals.add(number + 1, len(labels)", "totals.add(number + 1, 2 * len(labels)")
    made, _ = _run(home, SMALL, "--", SUMMARY)
    assert "train_model" in made
    (home / TRAINING).write_text(text)
    made, taken = _run(home, SMALL, "--", SUMMARY)
    assert made == set() and "train_model" in taken


def test_results_lost_come_back_with_their_bytes_and_provenance(home):
    kept = {p: p.read_bytes() for p in (home / "results").rglob("*") if p.is_file()}
    shutil.rmtree(home / "results")
    made, taken = _run(home)
    assert made == set() and "download_data" in taken
    assert {p: p.read_bytes() for p in (home / "results").rglob("*") if p.is_file()} == kept


def test_another_folder_shares_a_teams_store(done, tmp_path, monkeypatch):
    monkeypatch.setenv("GAUNTLET_STORE", str(done / ".gauntlet" / "store"))
    other = house(tmp_path / "other")
    made, taken = _run(other, SMALL, "--", SUMMARY)
    assert made == set() and "train_model" in taken
    assert (other / SUMMARY).read_bytes() == (done / SUMMARY).read_bytes()
    assert not (other / ".gauntlet" / "store").exists()


def test_turned_off_it_computes(home, monkeypatch):
    monkeypatch.setenv("GAUNTLET_STORE", "off")
    folder = home / "results/runs/digits/article_cnn/pgd_at/seed0/attacks/quick"
    shutil.rmtree(folder)
    made, taken = _run(home, SMALL, "--", str(folder.relative_to(home) / "test/ledger.csv"))
    assert (made, taken) == ({"craft_examples"}, set())


def test_a_damaged_entry_is_computed_anew(home):
    for path in (home / ".gauntlet/store").glob("*/*/examples"):
        path.write_bytes(path.read_bytes()[:-8])
    folder = home / "results/runs/digits/article_cnn/pgd_at/seed0/attacks/quick/test"
    before = (folder / "examples.npy").read_bytes()
    shutil.rmtree(folder)
    made, taken = _run(home, SMALL, "--", str(folder.relative_to(home) / "ledger.csv"))
    assert (made, taken) == ({"craft_examples"}, set())
    assert (folder / "examples.npy").read_bytes() == before
