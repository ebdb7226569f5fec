"""A study against what is kept of it, and beside published numbers."""

import pytest

from gauntlet.evaluation.published import NONE, beside
from gauntlet.evaluation.reference_check import INSIDE, MISSING, OTHER, OUTSIDE, SAME, hold

NAMES = {"dataset": "digits", "model": "cnn", "defense": "pgd_at", "attack": "pgd"}
ROW = NAMES | {"source": "self", "access": "white-box", "norm": "linf", "eps": "0.3"}
ROW |= {"n": "1000", "seeds": "3", "clean_mean": "0.98", "clean_low": "0.97", "clean_high": "0.99"}
ROW |= {"robust_mean": "0.88", "robust_low": "0.86", "robust_high": "0.9"}
ROW |= {"certified_mean": "", "certified_low": "", "certified_high": ""}


@pytest.mark.parametrize(
    ("change", "status", "why"),
    [
        ({}, SAME, ""),
        ({"robust_mean": "0.87"}, INSIDE, ""),
        ({"robust_mean": "0.91"}, OUTSIDE, "robust accuracy 0.9100 is outside [0.8600, 0.9000]"),
        ({"robust_mean": "0.85"}, OUTSIDE, "robust accuracy 0.8500"),
        ({"clean_mean": "0.9"}, OUTSIDE, "clean accuracy"),
        ({"robust_mean": ""}, OUTSIDE, "robust accuracy was not measured"),
        ({"n": "999"}, OTHER, "n is 999, not 1000"),
        ({"seeds": "1", "robust_mean": "0.1"}, OTHER, "seeds is 1, not 3"),
        ({"eps": "0.2"}, MISSING, "no such row"),
        ({"certified_mean": "0.5"}, INSIDE, ""),  # nothing is kept of it
    ],
)
def test_a_kept_row_is_met_or_it_is_said_why_not(change, status, why):
    (found,) = hold([ROW | change], [ROW])
    assert found["status"] == status and why in found["why"]


def test_rows_that_only_the_study_has_are_no_fault():
    assert [row["status"] for row in hold([ROW, ROW | {"attack": "fgsm"}], [ROW])] == [SAME]


SETUP = {"dataset": "digits", "model": "cnn", "defense": "pgd_at", "given": False}
SETUP |= {"data": "mnist", "kind": "adversarial", "single_step": False}
SETUP |= {"arch": "cnn", "epochs": 100, "images": 60000, "selection": "last"}
ENTRY = {"name": "A 2018", "source": "README", "data": "mnist", "norm": "linf", "eps": 0.3}
ENTRY |= {"kind": "adversarial", "arch": "cnn", "epochs": 100, "images": 60000, "n": 1000}
ENTRY |= {"selection": "last", "robust": 88.5, "clean": 98.5, "by": "AutoAttack"}


def one(row=(), setup=(), entry=()):
    rows, setups = [ROW | dict(row)], [SETUP | dict(setup)]
    (found,) = beside(rows, setups, [ENTRY | dict(entry)], 1.0)
    return found


def test_a_number_is_met_within_tolerance_and_sampling():
    assert one()["status"] == INSIDE
    assert one({"robust_mean": "0.856"})["status"] == INSIDE  # 1 point and 1.98 of sampling
    assert one({"robust_mean": "0.854"})["status"] == OUTSIDE
    assert "robust 85.4, not 88.5 ± 3.0" in one({"robust_mean": "0.854"})["why"]


@pytest.mark.parametrize(
    ("setup", "why"),
    [
        ({"arch": "mlp"}, "arch mlp, not cnn"),
        ({"epochs": 5}, "epochs 5, not 100"),
        ({"images": 1000}, "images 1000, not 60000"),
        ({"selection": "best"}, "selection best, not last"),
    ],
)
def test_another_training_is_never_called_inside_or_outside(setup, why):
    assert (one(setup=setup)["status"], one(setup=setup)["why"]) == (OTHER, why)


def test_another_number_of_images_comes_first():
    found = one({"n": "359"}, {"epochs": 5})
    assert found["why"] == "n 359, not 1000; epochs 5, not 100"


@pytest.mark.parametrize(
    "change",
    [{"data": "cifar10"}, {"kind": "trades"}, {"eps": 0.2}, {"norm": "l2"}, {"single_step": True}],
)
def test_another_threat_model_or_kind_is_not_even_compared(change):
    assert one(entry=change)["status"] == NONE


def test_authors_weights_need_no_training():
    given = {"given": True, "kind": "as_given"}
    entry = {"weights": True, "model": "cnn", "arch": "other", "epochs": 3}
    assert one(setup=given, entry=entry)["status"] == INSIDE
    assert one(setup=given)["status"] == NONE
    assert one(setup=given, entry=entry | {"model": "another"})["status"] == NONE


def test_the_strongest_attack_counts_and_noise_is_none():
    weak, noise = ROW | {"attack": "fgsm", "robust_mean": "0.95"}, ROW | {"norm": "noise"}
    (found,) = beside([weak, ROW, noise], [SETUP], [ENTRY], 1.0)
    assert found["found_robust"] == pytest.approx(88)
