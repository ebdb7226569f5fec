"""A small study with steps before its model, through Snakemake: tables, and what is stale."""

import copy
import csv
import json

import pytest

from gauntlet.cli.explain_command import row_files
from tests.helpers.snakes import STUDY, house, merged, planned, snakemake

pytestmark = pytest.mark.workflow

STEPPED = {
    "attacks": {"quick": {"eps": 0.1}},
    "preprocess": {
        "jpeg": {"kind": "jpeg", "quality": 40},
        "denoise": {"kind": "denoising_autoencoder", "attack": "pgd3", "channels": 4, "epochs": 2},
    },
    "adaptive": {"steps": 4, "restarts": 1, "queries": 5},
    "studies": {
        "tiny": {
            "defenses": ["baseline"],
            "attacks": ["quick", "pgd3"],
            "preprocess": ["jpeg", "denoise"],
        }
    },
}
PLACE = "results/studies/tiny"


def stepped(change=None):
    study = merged(copy.deepcopy(STUDY), merged(STEPPED, change or {}))
    study["studies"]["tiny"].pop("transfer")
    return study


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    home = house(tmp_path_factory.mktemp("steps") / "house")
    snakemake(home, study=stepped())
    return home


def test_a_run_ends_with_a_table_in_the_right_order(done):
    with open(done / PLACE / "preprocess.csv", newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["preprocess"] for row in rows] == ["jpeg", "denoise"]
    for row in rows:
        assert row["n"] == "40" and row["norm"] == "linf" and float(row["eps"]) == 0.1
        assert 0 <= float(row["adaptive_accuracy"]) <= float(row["naive_accuracy"]) <= 1
    page = (done / PLACE / "preprocess.md").read_text()
    assert "| none" in page and "| jpeg" in page and "| denoise" in page
    record = json.loads((done / PLACE / "preprocess.provenance.json").read_text())
    assert len(record["inputs"]) == 4


def test_a_row_leads_to_its_ledgers(done):
    row = {"dataset": "digits", "model": "article_cnn", "defense": "baseline", "seed": "0"}
    files = row_files(done / PLACE / "preprocess.csv", row | {"preprocess": "jpeg"})
    folder = done / PLACE / "preprocess/digits/article_cnn/baseline/seed0/jpeg"
    assert files[:2] == [folder / "naive.csv", folder / "adaptive.csv"]
    assert files[2].name == "train.provenance.json"


def test_the_autoencoder_saw_the_training_part_only(done):
    folder = done / "results/runs/digits/article_cnn/baseline/seed0/preprocess/denoise"
    record = json.loads((folder / "fit.provenance.json").read_text())
    crafted = [path for path in record["inputs"] if path.endswith("draws.npy")]
    assert crafted == [
        "results/runs/digits/article_cnn/baseline/seed0/attacks/pgd3/train/draws.npy"
    ]


def steps_of(jobs: dict, rule: str) -> set[str]:
    return {names.rpartition("/")[2] for names in jobs.get(rule, ())}


TABLE = {"all", "complete_study", "publish_preprocess", "plot_steps"}
BOTH = {"jpeg", "denoise"}
# change -> steps whose naive numbers, adaptive attacks and fits run again
EDITS = {
    "nothing": ({}, set(), set(), set()),
    "a step's setting": ({"preprocess": {"jpeg": {"quality": 60}}}, {"jpeg"}, {"jpeg"}, set()),
    "a step that learns": (
        {"preprocess": {"denoise": {"epochs": 3}}},
        {"denoise"},
        {"denoise"},
        {"denoise"},
    ),
    "the adaptive attack": ({"adaptive": {"steps": 5}}, set(), BOTH, set()),
    "that of one step": (
        {"preprocess": {"jpeg": {"adaptive": {"steps": 5}}}},
        set(),
        {"jpeg"},
        set(),
    ),
    "draws of steps that draw nothing": ({"adaptive": {"draws": 9, "samples": 7}}, *[set()] * 3),
    "a step that no study lists": ({"preprocess": {"more": {"kind": "median"}}}, *[set()] * 3),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_setting_reruns_exactly(edit, done):
    change, naive, adaptive, fits = EDITS[edit]
    jobs = planned(done, stepped(change))
    assert steps_of(jobs, "preprocess_examples") == naive
    assert steps_of(jobs, "attack_preprocess") == adaptive
    assert steps_of(jobs, "fit_preprocess") == fits
    rest = set(jobs) - {"preprocess_examples", "attack_preprocess", "fit_preprocess"}
    assert rest == (TABLE if naive | adaptive | fits else set())


CODE = {
    "docstring": ("Compress images", "Pack images", set()),
    "cost": ('"32 * pixels"', '"64 * pixels"', set()),
    "code": ("cut(compressed(images, self.quality))", "compressed(images, self.quality)", {"jpeg"}),
}


@pytest.mark.parametrize("edit", CODE)
def test_an_edit_of_a_step_reruns_its_own_jobs(edit, done):
    old, new, wanted = CODE[edit]
    path = done / "workflow/lib/gauntlet/preprocess/jpeg.py"
    text = path.read_text()
    assert old in text
    try:
        path.write_text(text.replace(old, new))
        jobs = planned(done, stepped())
    finally:
        path.write_text(text)
    assert steps_of(jobs, "preprocess_examples") == steps_of(jobs, "attack_preprocess") == wanted
    assert set(jobs) <= {"preprocess_examples", "attack_preprocess", *TABLE}


def test_a_mistake_ends_before_any_job(done):
    wrong = stepped({"preprocess": {"jpeg": {"quality": 101}}})
    printed = snakemake(done, "-n", study=wrong, check=False)
    assert "preprocess.jpeg.quality is 101; allowed is a whole number from 1 to 100." in printed
    assert "Traceback" not in printed


TARGETS = {
    "an unknown step": ("preprocess/blur/fit.json", "preprocess 'blur'"),
    "a step that learns nothing": ("preprocess/jpeg/step.pt", "learns nothing"),
}


@pytest.mark.parametrize("case", TARGETS)
def test_a_target_that_cannot_be_made_is_one_sentence(case, done):
    end, message = TARGETS[case]
    target = f"results/runs/digits/article_cnn/baseline/seed0/{end}"
    printed = snakemake(done, "-n", "--", target, study=stepped(), check=False)
    assert message in printed and "allowed are" in printed
