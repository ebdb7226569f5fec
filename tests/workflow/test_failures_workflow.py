"""A model that fails costs its own row: the table is there, the run is red, and is tried again."""

import csv
import json
import re

import pytest

from tests.helpers.snakes import STUDY, house, merged, planned, snakemake

pytestmark = pytest.mark.workflow

FACTORY = """
import os
import torch

class Odd(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    def forward(self, images):
        moved = images.requires_grad and bool((images * 16 % 1 != 0).any())
        if moved and os.path.exists("broken"):
            raise RuntimeError("a size that it cannot take")
        return self.body(images)

def make():
    return Odd()
"""
ODD = {"arch": "factory", "factory": "odd_net:make", "weights": "own"}
LISTS = {key: value for key, value in STUDY["studies"]["tiny"].items() if key != "transfer"}
OVERLAY = merged(
    STUDY | {"studies": {"tiny": LISTS}},
    {
        "models": {"odd": ODD},
        "audit": {"images": 20, "steps": 3, "rerun": False},
        "studies": {
            "tiny": {
                **{"models": ["article_cnn", "odd"], "defenses": ["baseline", "as_given"]},
                **{"attacks": ["quick", "pgd3"], "audit": ["gradients"]},
            }
        },
    },
)
STUDY_FOLDER = "results/studies/tiny"


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A workflow in which one of two models fails, and what it printed."""
    home = house(tmp_path_factory.mktemp("failures") / "house")
    (home / "odd_net.py").write_text(FACTORY)
    (home / "broken").touch()
    return home, snakemake(home, study=OVERLAY, check=False)


def _rows(home):
    with open(home / STUDY_FOLDER / "robustness.csv", newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_the_table_is_there_and_the_run_is_red(done):
    home, printed = done
    assert set(re.findall(r"Error in rule (\w+)", printed)) == {"complete_study"}
    sentence = "digits/odd/as_given seed 0: pgd3 failed: RuntimeError: a size that it cannot take"
    assert sentence in printed and not (home / STUDY_FOLDER / "complete").exists()
    rows = _rows(home)
    accuracy = {(row["model"], row["attack"]): row["robust_accuracy"] for row in rows}
    assert accuracy["odd", "pgd3"] == accuracy["odd", "worst_case"] == ""
    assert float(accuracy["article_cnn", "pgd3"]) >= 0
    marked = [row for row in rows if row["model"] == "odd" and row["attack"] == "pgd3"]
    assert "a size that it cannot take" in marked[0]["warning"]
    assert {row["audit"][:5] for row in rows if row["model"] == "odd"} == {"error"}
    for name in ("summary.md", "figures/robustness.png", "figures/examples.png"):
        assert (home / STUDY_FOLDER / name).stat().st_size > 0
    assert "(!) digits/odd/as_given" in (home / STUDY_FOLDER / "summary.md").read_text()


def test_the_next_run_tries_again_what_failed_and_nothing_else(done):
    home, _ = done
    jobs = planned(home, OVERLAY)
    assert jobs["craft_examples"] and all("/odd/" in job for job in jobs["craft_examples"])
    assert jobs["audit_model"] == {"tiny/digits/odd/as_given/0"}
    assert not {"train_model", "import_model"} & jobs.keys()
    (home / "broken").unlink()
    snakemake(home, study=OVERLAY)
    assert (home / STUDY_FOLDER / "complete").exists()
    assert all(row["robust_accuracy"] for row in _rows(home))
    assert json.loads((home / STUDY_FOLDER / "robustness.json").read_text())["failures"] == []
    assert planned(home, OVERLAY) == {}
