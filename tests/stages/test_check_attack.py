"""Attacks on models of known distance: sound ones pass, weak ones are refused."""

import pytest
import torch

from gauntlet.core.threat_models import distance
from gauntlet.evaluation import metrics
from gauntlet.stages import check_attack

CPU = torch.device("cpu")
LINF = {"norm": "linf", "eps": 0.3}
SOUND = {
    "fgsm": {"kind": "fgsm", "step": 0.3, **LINF},
    "mifgsm": {"kind": "mifgsm", "steps": 10, "step": 0.03, **LINF},
    "pgd": {"kind": "pgd", "steps": 40, "step": 0.03, **LINF},
    "pgd-l2": {"kind": "pgd", "steps": 40, "step": 0.05, "norm": "l2", "eps": 0.5},
    "apgd": {"kind": "apgd", "steps": 50, **LINF},
    "apgd-l1": {"kind": "apgd", "steps": 100, "norm": "l1", "eps": 3.0, "loss": "dlr"},
    "apgd_t-l2": {"kind": "apgd_t", "steps": 50, "norm": "l2", "eps": 3.0},
    "fab_t": {"kind": "fab_t", "steps": 20, **LINF},
    "deepfool": {"kind": "deepfool", "norm": "l2", "eps": 0.5},
    "square": {"kind": "square", "queries": 2000, **LINF},
    "gauntlet": {"kind": "gauntlet", "queries": 50, **LINF},
}
WEAK = {
    "no steps to speak of": {"kind": "pgd", "steps": 2, "step": 0.06, **LINF},
    "few queries": {"kind": "square", "queries": 5, **LINF},
    "few steps": {"kind": "ddn", "norm": "l2", "eps": 1.0, "steps": 4},
}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", SOUND)
def test_sound_attacks_pass(name, precision):
    record = check_attack.check_attack(SOUND[name], 64, precision, CPU)
    assert record["passed"] and record["checked"], record
    assert all(case["reachable"] >= 15 and not case["beyond_exact"] for case in record["cases"])


@pytest.mark.parametrize("name", WEAK)
def test_weak_attacks_are_refused(name):
    record = check_attack.check_attack(WEAK[name], 64, "float32", CPU)
    assert not record["passed"] and "whose exact distance is within reach" in record["reason"]


def test_what_has_no_distance_passes_unchecked():
    settings = {"kind": "corruptions", "names": None, "severity": 3}
    record = check_attack.check_attack(settings, 64, "float32", CPU)
    assert record["passed"] and not record["checked"] and record["cases"] == []


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("make", [check_attack.linear, check_attack.prototypes])
def test_exact_distances_are_exact(norm, make):
    """A step of the exact distance along the dual direction ends on a boundary."""
    oracle = make(norm, CPU)
    images = oracle.images.double().requires_grad_(True)
    logits = torch.as_tensor(oracle.model(images.float()))
    second = logits.topk(2, dim=1)
    assert torch.equal(second.indices[:, 0], oracle.labels)
    if norm == "l1":
        return  # many coordinates are equally steep: none is the direction
    patterns = check_attack._patterns(CPU)
    slope = patterns[second.indices[:, 1]] - patterns[oracle.labels]
    way = slope.sign() if norm == "linf" else slope / slope.norm(dim=1, keepdim=True)
    for share, crossed in ((0.999, False), (1.001, True)):
        moved = oracle.images + (share * oracle.exact[:, None] * way).float().view_as(oracle.images)
        assert ((oracle.model(moved).argmax(1) != oracle.labels) == crossed).all()
        far = distance(moved, oracle.images, norm)
        assert torch.allclose(far, share * oracle.exact, rtol=1e-4)


def test_a_refused_attack_has_no_accuracy_but_still_counts():
    row = {"attack": "weak", "robust_accuracy": 0.9} | dict.fromkeys(metrics.REFUSED)
    kept = metrics._checked(row | {"robust_accuracy": 0.9}, {"passed": False, "reason": "r"}, ["w"])
    assert kept["robust_accuracy"] is None and kept["warnings"] == ["w", "weak refused: r"]
    fine = metrics._checked(row | {"robust_accuracy": 0.9}, {"passed": True}, [])
    assert fine["robust_accuracy"] == 0.9 and fine["warnings"] == []
