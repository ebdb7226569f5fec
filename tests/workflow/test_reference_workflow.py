"""A finished study is kept, verified, found changed, and refused where nothing is kept."""

import json

import pytest

from gauntlet.core.records import read_rows, write_rows
from gauntlet.stages import keep_reference
from tests.helpers.snakes import finished, planned, snakemake

pytestmark = pytest.mark.workflow
RESULTS = "results/studies/tiny"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("reference"))


def test_nothing_kept_is_one_sentence_before_any_job(home):
    printed = snakemake(home, "--nocolor", "references", check=False)
    assert "Nothing is kept of the studies under run (tiny); allowed are none so far." in printed
    printed = snakemake(home, "--nocolor", f"{RESULTS}/reference.json", check=False)
    assert "Nothing is kept of the study 'tiny'" in printed and "Error in rule" not in printed


def test_what_is_kept_is_verified_until_it_is_another_result(home, monkeypatch):
    monkeypatch.chdir(home)
    assert keep_reference.main([RESULTS]) == 0
    assert planned(home, None, "--nocolor", "references").keys() == {
        "compare_reference",
        "verify_reference",
        "references",
    }
    snakemake(home, "--nocolor", "references")
    found = json.loads((home / RESULTS / "reference.json").read_text())
    assert found["same_bytes"] and found["same_machine"] and found["same_code"]
    assert "tiny: verified" in (home / RESULTS / "reference.md").read_text()
    kept = home / "results/reference/tiny/summary.csv"
    rows = read_rows(kept)
    rows[0] |= {"clean_mean": "0.01", "clean_low": "0", "clean_high": "0.02"}
    write_rows(kept, rows[0], rows)
    printed = snakemake(home, "--nocolor", "references", check=False)
    assert (
        "'tiny' is not what is kept of it" in printed and "is outside [0.0000, 0.0200]" in printed
    )
    assert "NOT verified" in (home / RESULTS / "reference.md").read_text()
