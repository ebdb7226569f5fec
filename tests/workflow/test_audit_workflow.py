"""Audit and gate in the whole workflow: a closed gate is the last thing that fails."""

import json
import re

import pytest

from tests.helpers.snakes import STUDY, house, merged, planned, snakemake

pytestmark = pytest.mark.workflow

CHECKS = ["gradients", "convergence", "leakage"]
TINY = {
    "training": {"epochs": 15, "learning_rate": 0.01},
    "audit": {"images": 20, "steps": 3, "rerun_queries": 20},
    "studies": {
        "tiny": {
            **{"defenses": ["baseline", "pgd_at"], "attacks": ["quick", "pgd3"]},
            **{"audit": CHECKS, "transfer": {"source": "baseline", "attacks": ["pgd3"]}},
        }
    },
}
RESULTS = "results/studies/tiny"
AUDIT = f"{RESULTS}/audit/digits/article_cnn/pgd_at/seed0"


def requiring(clean, **other):
    asked = {"release": {"defense": "pgd_*", "clean": clean} | other}
    return merged(merged(STUDY, TINY), {"requirements": asked})


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A workflow whose gate stayed closed, and what it printed."""
    home = house(tmp_path_factory.mktemp("audit") / "house")
    return home, snakemake(home, study=requiring(1.0), check=False)


def test_a_closed_gate_fails_last_and_says_what_falls_short(done):
    home, printed = done
    assert "The gate of 'tiny' is closed" in printed
    assert re.search(r"pgd_at seed 0 has clean accuracy [\d.]+ %; required is 100.0 %\.", printed)
    assert not (home / RESULTS / "gate.passed").exists()
    assert re.findall(r"Error in rule (\w+)", printed) == ["pass_gate"]
    for name in ("summary.md", "robustness.csv", "gate.json", "gate.md", "figures/curves.png"):
        assert (home / RESULTS / name).stat().st_size > 0
    verdicts = json.loads((home / RESULTS / "gate.json").read_text())["verdicts"]
    assert [(v["defense"], v["measure"], v["met"]) for v in verdicts] == [
        ("pgd_at", "clean", False)
    ]


def test_every_model_has_its_audit_and_the_table_a_column(done):
    home, _ = done
    record = json.loads((home / AUDIT / "audit.json").read_text())
    assert [found["check"] for found in record["findings"]] == CHECKS
    assert record["norm"] == "linf" and record["eps"] == 0.1 and record["n"] == 20
    assert (home / AUDIT / "audit.provenance.json").exists()
    assert (home / AUDIT / "rerun" / "ledger.csv").exists()
    head = next(line for line in (home / RESULTS / "summary.md").open() if line.startswith("|"))
    assert "audit" in head


def test_a_lower_bar_opens_the_gate_and_runs_nothing_else(done):
    home, _ = done
    study = requiring(0.0, robust=0.0)
    assert planned(home, study).keys() == {"gate", "pass_gate", "complete_study", "all"}
    snakemake(home, "--nocolor", "gates", study=study)
    record = json.loads((home / RESULTS / "gate.json").read_text())
    assert record["passed"] and (home / RESULTS / "gate.passed").exists()
    assert [verdict["measure"] for verdict in record["verdicts"]] == ["clean", "robust"]


def test_another_list_of_checks_audits_again_but_attacks_nothing(done):
    home, _ = done
    study = merged(requiring(1.0), {"studies": {"tiny": {"audit": [*CHECKS, "overfitting"]}}})
    jobs = planned(home, study)
    assert len(jobs["audit_model"]) == 2 and "evaluate_robustness" in jobs
    assert not {"train_model", "craft_examples", "transfer_examples"} & jobs.keys()


def test_nothing_required_is_reported(done):
    home, _ = done
    printed = snakemake(home, "--nocolor", "gates", study=merged(STUDY, TINY), check=False)
    assert "requirements fit no model of the studies under run (tiny)" in printed
