"""A search in the real workflow: rounds of trials, the winner's training, what runs again."""

import csv
import json

import pytest

from tests.helpers.snakes import STUDY, house, merged, planned, snakemake

pytestmark = pytest.mark.workflow

SEARCH = {
    "defense": "pgd_at",
    "dataset": "digits",
    "model": "article_cnn",
    # a step of 1e30 is not finite: such a trial is refused
    "ranges": {
        "learning_rate": {"low": 0.0001, "high": 1.0e30, "log": True},
        "attack.steps": {"low": 1, "high": 3},
    },
    "trials": 4,
    "parallel": 2,
    "training": {"epochs": 2},
}
CHANGE = {
    "searches": {"find": SEARCH},
    "defenses": {"tuned": {"from_search": "find", "epochs": 2}},
    "studies": {"tiny": {"defenses": ["pgd_at", "tuned"], "attacks": ["pgd3"]}},
}
STUDIED = merged(STUDY, CHANGE)
del STUDIED["studies"]["tiny"]["transfer"]
FOLDER = "results/searches/find"
RUN = "results/runs/digits/article_cnn/tuned/seed0"


def _json(path):
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    home = house(tmp_path_factory.mktemp("search") / "house")
    snakemake(home, study=STUDIED)
    return home


def test_the_winner_is_trained_and_stands_in_the_records(done):
    best = _json(done / FOLDER / "best.json")
    with (done / FOLDER / "trials.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["trial"] for row in rows] == ["1", "2", "3", "4"]
    complete = [row for row in rows if row["state"] == "complete"]
    refused = [row for row in rows if row["state"] == "refused"]
    assert len(complete) + len(refused) == 4 and refused
    assert all("not finite" in row["reason"] for row in refused)
    assert best["value"] == max(float(row["value"]) for row in complete)
    assert (rows[0]["start"], float(rows[0]["learning_rate"])) == ("1", 0.001)
    made = _json(done / RUN / "train.json")
    assert made["found"] == best
    inputs = _json(done / RUN / "train.provenance.json")["inputs"]
    assert f"{FOLDER}/best.json" in inputs
    page = (done / "results/studies/tiny/summary.md").read_text()
    assert f"trial {best['trial']} of the search find" in page
    for name in ("trials.png", "trials.svg"):
        assert (done / FOLDER / name).stat().st_size > 5000


def test_a_rerun_does_nothing_and_more_trials_keep_the_earlier_ones(done):
    assert planned(done, STUDIED) == {}
    more = merged(STUDIED, {"searches": {"find": {"trials": 6}}})
    jobs = planned(done, more)
    assert jobs["propose_trials"] == {"find/3"}
    assert jobs["run_trial"] == {"find/5/100", "find/6/100"}
    assert jobs["train_model"] == {"digits/article_cnn/tuned/0"}  # of which the store may know


def test_another_range_tries_all_anew_and_another_look_nothing(done):
    tried = {"learning_rate": {"low": 0.0001, "high": 0.1, "log": True}}
    jobs = planned(done, merged(STUDIED, {"searches": {"find": {"ranges": tried}}}))
    assert jobs["propose_trials"] == {"find/1", "find/2"} and len(jobs["run_trial"]) == 4
    jobs = planned(done, merged(STUDIED, {"figures": {"dpi": 99}}))
    assert "plot_search" in jobs and not {"run_trial", "propose_trials", "train_model"} & set(jobs)


def test_searches_can_be_asked_for_alone(done):
    refused = snakemake(done, "-n", "searches", study=STUDY, check=False)
    assert "searches is empty; allowed is a configuration with a search." in refused
    wrong = snakemake(done, "-n", "results/searches/fond/best.json", study=STUDIED, check=False)
    assert "names the search 'fond'" in wrong and "allowed are find" in wrong
