"""Defenses that need other models or files, in the real workflow."""

import csv
import json
import os

import numpy as np
import pytest

from tests.helpers.snakes import STUDY, house, merged, planned, snakemake

pytestmark = pytest.mark.workflow

TEACHER = {"model": "wide", "defense": "pgd_at"}
CHANGE = {
    "models": {"wide": {"arch": "mlp", "hidden": [32]}},
    "defenses": {
        "taught": {"kind": "rslad", "attack": "pgd3", "teacher": TEACHER},
        "several": {
            "kind": "ensemble",
            "attack": "quick",
            "sources": [TEACHER, {"model": "article_cnn", "defense": "baseline"}],
        },
        "more": {"kind": "n_fgsm", "eps": 0.1, "rollback": True, "extra": {"path": "more.npz"}},
    },
    "studies": {
        "tiny": {
            "defenses": ["baseline", "taught", "several", "more"],
            "attacks": ["quick", "pgd3"],
        }
    },
}
OWN = "digits/article_cnn"
RUNS = "results/runs/digits/article_cnn"


def _write_more(home, value):
    images = np.full((40, 8, 8), value, dtype=np.uint8)
    np.savez(home / "more.npz", images=images, labels=np.arange(40) % 10)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    home = house(tmp_path_factory.mktemp("defenses") / "house")
    study = merged(STUDY, CHANGE)
    refused = snakemake(home, "-n", study=study, check=False)
    assert "'more.npz', but there is no such file" in refused
    _write_more(home, 100)
    trained = planned(home, study)["train_model"]
    assert {name for name in trained if "wide" in name} == {"digits/wide/pgd_at/0"}
    assert len(trained) == 5  # four of the study, and the teacher
    snakemake(home, study=study)
    return home, study


def test_all_are_trained_on_what_they_ask_for(done):
    home, _ = done
    for name, inputs in (("taught", 5), ("several", 6), ("more", 5)):
        made = json.loads((home / f"{RUNS}/{name}/seed0/train.provenance.json").read_text())
        assert len(made["inputs"]) == inputs, name
    with (home / f"{RUNS}/more/seed0/history.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    assert -1 <= float(row["gradient_cosine"]) <= 1
    assert (row["collapsed"], row["rolled_back"], row["step_share"]) == ("0", "0", "1.0")
    with (home / "results/studies/tiny/robustness.csv").open() as stream:
        assert {row["defense"] for row in csv.DictReader(stream)} >= {"taught", "several", "more"}


def test_another_file_of_further_images_trains_that_defense_anew(done):
    home, study = done
    assert planned(home, study) == {}
    before = (home / "more.npz").stat()
    _write_more(home, 101)
    assert planned(home, study)["train_model"] == {f"{OWN}/more/0"}
    _write_more(home, 100)
    os.utime(home / "more.npz", ns=(before.st_atime_ns, before.st_mtime_ns))


def test_another_teacher_trains_the_student_anew(done):
    home, study = done
    change = {"defenses": {"taught": {"teacher": {"model": "article_cnn", "defense": "baseline"}}}}
    assert planned(home, merged(study, change))["train_model"] == {f"{OWN}/taught/0"}
    change = {"models": {"wide": {"hidden": [16]}}}
    jobs = planned(home, merged(study, change))["train_model"]
    assert jobs == {"digits/wide/pgd_at/0", f"{OWN}/taught/0", f"{OWN}/several/0"}
