"""What an audit broke, read as a ledger: it lowers the worst case at every eps that it reaches."""

import pytest

from gauntlet.core.errors import GauntletError
from gauntlet.evaluation import audit_ledger, metrics
from gauntlet.evaluation.attack_ledger import read_ledger
from tests.helpers.builders import ledger_row, write_table

FOUND = {"label": 0, "check": "black_box", "prediction": 1, "l2": 0.5, "l1": 1.0}


@pytest.fixture
def study(tmp_path):
    """Five images, of which the attack broke the first and the last was never right."""
    rows = [ledger_row(index, index, index == 10) for index in (14, 10, 11, 12, 13)]
    rows[0] |= {"clean_prediction": 3, "adversarial_prediction": 3}
    return read_ledger(write_table(tmp_path / "ledger.csv", rows), "pgd")


def _found(tmp_path, study, *spans):
    rows = [FOUND | {"index": index, "linf": span} for index, span in spans]
    return audit_ledger.read_found(write_table(tmp_path / "found.csv", rows), "linf", study[0])


def test_what_a_check_broke_lowers_the_worst_case(tmp_path, study):
    found = _found(tmp_path, study, (13, 0.9), (11, 0.15), (14, 0.1))
    assert found.eps == 0.9 and found.success.tolist() == [False, True, False, True, False]
    worst = metrics.worst_case([*study, found], "linf", 0.15)
    assert worst.success.tolist() == [True, True, False, False, False]
    assert worst.success_by.tolist() == ["pgd", "audit black_box", "", "", ""]
    rows = metrics.evaluate(study, {}, audited=True, found=[found])["rows"]
    assert [(row["attack"], row["robust_accuracy"]) for row in rows] == [
        ("pgd", 0.6),
        ("worst_case", 0.4),
    ]
    assert metrics.worst_case([*study, found], "linf", 0.95).success.sum() == 3


def test_an_audit_that_broke_nothing_changes_nothing(tmp_path, study):
    path = tmp_path / "found.csv"
    path.write_text(",".join(audit_ledger.COLUMNS) + "\n")
    found = audit_ledger.read_found(path, "linf", study[0])
    plain = metrics.evaluate(study, {}, audited=True)
    assert metrics.evaluate(study, {}, audited=True, found=[found]) == plain


def test_an_audit_of_other_images_is_named(tmp_path, study):
    with pytest.raises(GauntletError, match=r"found\.csv names image 99, which .*ledger\.csv"):
        _found(tmp_path, study, (99, 0.1))


def test_transferred_examples_count_as_what_the_check_has_shown(tmp_path, study):
    rows = [ledger_row(i, i, i in (12, 13), access="transfer", linf=0.12) for i in range(10, 15)]
    rows[4] |= {"clean_prediction": 3, "adversarial_prediction": 3}
    seen = read_ledger(write_table(tmp_path / "other.csv", rows), "pgd", "baseline")
    worst = metrics.worst_case([*study, *audit_ledger.as_found(seen)], "linf", 0.15)
    assert worst.success_by.tolist() == ["pgd", "", "audit black_box", "audit black_box", ""]
    assert metrics.worst_case([*study, *seen], "linf", 0.15).success.sum() == 1
