"""`gauntlet.evaluate`: worst case per image, certificates beside it, and no contradiction."""

import numpy as np
import pytest
import torch
from torch import nn

import gauntlet
from gauntlet.api import certify_run
from tests.helpers import plain_models

N = 16
USUAL = ["fgsm", "pgd", "gauntlet"]
EPS = [0.01, 0.15]


@pytest.fixture(scope="module")
def evaluation():
    """An evaluation of a small network by three attacks at two eps, with a certificate."""
    attacks = ["fgsm", {"kind": "pgd", "steps": 4}, {"kind": "pgd", "steps": 8}]
    given = plain_models.test_part(N)
    return gauntlet.evaluate(plain_models.network(), *given, eps=EPS, attacks=attacks)


def test_the_worst_case_is_that_of_each_image(evaluation):
    assert [one.attack for one in evaluation.attacks[::2]] == ["fgsm", "pgd", "pgd (2)"]
    for eps in EPS:
        mine = [one for one in evaluation.attacks if one.eps == eps]
        smaller = [one for one in evaluation.attacks if one.eps <= eps]
        held = ~np.any([one.success.numpy() for one in smaller], 0) & mine[0].ledger.clean
        assert evaluation.robust_accuracy_at(eps) == pytest.approx(held.mean())
        assert evaluation.robust_accuracy_at(eps) <= min(one.robust_accuracy for one in mine)
    assert evaluation.robust_accuracy == evaluation.robust_accuracy_at(0.15)
    assert evaluation.robust_accuracy_at(0.01) > evaluation.robust_accuracy_at(0.15)


def test_a_certificate_is_a_lower_bound(evaluation):
    for eps in EPS:
        assert 0 <= evaluation.certified_accuracy_at(eps) <= evaluation.robust_accuracy_at(eps)
    assert evaluation.certified_accuracy_at(0.01) > 0.3
    assert evaluation.certificate_note == ""
    low, high = evaluation.robust_interval
    assert low < evaluation.robust_accuracy < high


def test_it_prints_and_becomes_a_frame(evaluation):
    text, table = str(evaluation), evaluation.to_pandas()
    assert len(table) == 8 and list(table["attack"]) == 2 * ["fgsm", "pgd", "pgd (2)", "worst case"]
    assert text.count("worst case") == 2 and "certified %" in text
    assert f"{100 * evaluation.robust_accuracy:.1f} [" in text
    assert all(len(line) <= 120 for line in text.splitlines())


def test_a_network_that_cannot_be_certified_is_attacked_all_the_same():
    model = plain_models.network()
    wavy = torch.nn.Sequential(model, torch.nn.Softsign())
    for given in (lambda x: model(x), wavy):
        found = gauntlet.evaluate(given, *plain_models.test_part(N), eps=0.05, attacks="fgsm")
        assert found.certified_accuracy is None and found.n == N
        assert found.certificate_note.count(".") >= 1
        assert f"No certificate: {found.certificate_note}" in str(found)
    assert "Softsign" in found.certificate_note


def test_no_certificate_is_asked_for():
    given = plain_models.test_part(N)
    ask = {"eps": 0.05, "attacks": "fgsm", "certificates": None}
    found = gauntlet.evaluate(plain_models.network(), *given, **ask)
    assert found.certificates == () and found.certified_accuracy is None
    assert "No certificate" not in str(found)


@pytest.mark.parametrize(
    ("norm", "kinds"),
    [
        ("linf", ["fgsm", "pgd", "gauntlet"]),
        ("l2", ["fgsm", "pgd", "gauntlet"]),
        ("l1", ["apgd", "fmn"]),
    ],
)
def test_sensible_attacks_without_being_asked(norm, kinds):
    model, (images, labels) = plain_models.network(), plain_models.test_part(4)
    found = gauntlet.evaluate(model, images, labels, norm=norm, eps=0.05, certificates=[])
    assert [one.attack for one in found.attacks] == kinds
    assert {one.norm for one in found.attacks} == {norm}


def test_an_example_against_a_proof_is_an_error(monkeypatch):
    honest = certify_run.prove

    def wrong(*args):
        found = honest(*args)
        return type(found)(**vars(found) | {"radius": torch.full_like(found.radius, 0.5)})

    monkeypatch.setattr(certify_run, "prove", wrong)
    with pytest.raises(ValueError, match="error in Gauntlet"):
        gauntlet.evaluate(
            plain_models.network(), *plain_models.test_part(N), eps=0.1, attacks="pgd"
        )


def test_smoothing_is_no_bound_on_the_model_itself():
    asked = {"kind": "smoothing", "sigma": 0.1, "n": 200, "n0": 20}
    given = plain_models.test_part(6)
    model = plain_models.network()
    found = gauntlet.evaluate(
        model, *given, norm="l2", eps=0.1, attacks="fgsm", certificates=[asked]
    )
    assert found.certified_accuracy is None and found.certificates[0].certified_accuracy > 0
    assert not found.certificates[0].deterministic


def test_eps_may_be_fractions_and_numbers_or_an_array():
    images, labels = torch.rand(4, 1, 8, 8), torch.arange(4)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    for eps in ([0.01, "8/255"], np.array([0.01, 8 / 255])):
        result = gauntlet.evaluate(model, images, labels, eps=eps, attacks="fgsm", seed=np.int64(3))
        assert result.eps == pytest.approx((0.01, 8 / 255))
