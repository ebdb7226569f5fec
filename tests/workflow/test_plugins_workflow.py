"""A user's own plug-ins in the real workflow: planned, run, recorded, and stale after an edit."""

import csv
import json

import pytest

from tests.helpers.own_plugins import study_of, written
from tests.helpers.snakes import house, planned, snakemake

pytestmark = pytest.mark.workflow

RUN = "results/runs/stripes/net/soft/seed0"


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished study with an own attack, defense, data source and check, in jobs of all kinds."""
    home = house(tmp_path_factory.mktemp("plugins") / "house")
    written(home.parent / "mine")
    jobs = planned(home, study_of("../mine"))
    assert {"download_data", "train_model", "craft_examples", "audit_model"} <= jobs.keys()
    snakemake(home, study=study_of("../mine"))
    return home


def _read(home, name):
    return json.loads((home / name).read_text())


def test_the_study_has_the_results_of_each_plug_in(done):
    assert _read(done, "results/data/stripes/data.json")["classes"] == ["rows", "columns"]
    spec = _read(done, f"{RUN}/train.provenance.json")["spec"]
    assert spec["defense"] == {"kind": "softened", "smooth": 0.2}
    with (done / f"{RUN}/attacks/mine/test/ledger.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2 * 40 and {row["norm"] for row in rows} == {"linf"}
    assert {row["forwards"] for row in rows} != {"0"}
    audit = _read(done, "results/studies/own/audit/stripes/net/soft/seed0/audit.json")
    assert [finding["check"] for finding in audit["findings"]] == ["gradients", "above_chance"]
    assert audit["findings"][1]["evidence"]["clean"] > 0.5
    with (done / f"{RUN}/certificates/boxes/test/ledger.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 2 * 40
    with (done / "results/studies/own/preprocess.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["eps"] for row in rows] == ["0.05", "0.1"]
    assert {row["preprocess"] for row in rows} == {"black"}
    check = _read(done, "results/checks/mine/check.json")
    assert check["checked"] and check["slack"] == 1.0 and check["passed"]
    assert len(check["cases"]) == 2


# file, text, replacement, rules that compute anew
EDITS = {
    "nothing": ("attacks/mine.py", "one", "one", set()),
    "words": ("attacks/mine.py", "Take one full step", "Step", set()),
    "attack": ("attacks/mine.py", "step=eps", "step=eps / 2", {"craft_examples", "check_attacks"}),
    "check": ("audit/above_chance.py", "> 0.5", "> 0.6", {"audit_model"}),
    "defense": (
        "defenses/softened.py",
        "smoothing=smooth",
        "smoothing=smooth * 1",
        {"train_model"},
    ),
    "step": ("preprocess/blacken.py", "below, 0.0", "below, 0.1", {"attack_preprocess"}),
    "data": ("data/stripes.py", "(0, 50,", "(0, 40,", {"download_data", "train_model"}),
}
COMPUTING = {"download_data", "train_model", "check_attacks"}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_runs_its_own_jobs_anew(edit, done):
    name, old, new, expected = EDITS[edit]
    path = done.parent / "mine" / name
    text = path.read_text()
    assert old in text
    try:
        path.write_text(text.replace(old, new))
        jobs = set(planned(done, study_of("../mine")))
    finally:
        path.write_text(text)
    assert expected <= jobs
    assert jobs & COMPUTING == expected & COMPUTING
    assert bool(jobs) == bool(expected)


def test_an_unrelated_plug_in_runs_nothing(done):
    other = done.parent / "mine" / "attacks" / "more.py"
    other.write_text((other.parent / "mine.py").read_text().replace("def mine", "def more"))
    try:
        assert not planned(done, study_of("../mine"))
    finally:
        other.unlink()


def test_plain_jobs_without_the_warm_worker_find_them_too(done):
    spec = study_of("../mine")
    spec["attacks"]["mine"]["tries"] = 2
    target = f"{RUN}/attacks/mine/test/ledger.csv"
    before = (done / target).read_bytes()
    snakemake(done, "--", target, study=spec, warm=False)
    assert (done / target).read_bytes() == before  # one step, whatever `tries` is


def test_a_wrong_folder_ends_the_run_before_any_job(done):
    printed = snakemake(done, "-n", study=study_of("../nowhere"), check=False)
    assert "plugins[0] is '../nowhere', but there is no such folder" in printed
    assert "Traceback" not in printed
