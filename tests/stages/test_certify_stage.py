"""The ledger of a certificate, through the stages."""

import csv

import pytest
import torch

from gauntlet.core import scoring
from gauntlet.core.errors import GauntletError
from gauntlet.evaluation import certificate_ledger
from gauntlet.stages import certify, partial
from tests.helpers import builders
from tests.helpers.certified import (
    EPS,
    certify_spec,
    thirty_images,  # noqa: F401
    trained,  # noqa: F401
    write_proof,
)

SMOOTH = {"kind": "smoothing", "norm": "l2", "sigma": 0.25, "n0": 20, "n": 200, "alpha": 0.001}


def test_a_ledger_has_every_image_at_every_eps(model, eval_images, tmp_path):
    path = write_proof(
        tmp_path / "crown" / "test" / "ledger.csv", model, certify_spec(), eval_images
    )
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert tuple(rows[0]) == certificate_ledger.COLUMNS and len(rows) == 60
    assert [int(row["index"]) for row in rows[:30]] == eval_images.index.tolist()
    said = scoring.predict(model, eval_images.images).tolist() * 2
    assert [int(row["clean_prediction"]) for row in rows] == said
    assert {row["classifier"] for row in rows} == {"base"}
    proof = certificate_ledger.read_certificate(path)
    assert (proof.certificate, proof.norm, proof.eps) == ("crown", "linf", EPS)
    assert proof.index.tolist() == list(range(200, 230)) and proof.deterministic
    wrong = proof.clean_prediction != proof.label
    assert wrong.sum() >= 3 and (proof.radius[wrong] == 0).all()
    assert proof.covers(EPS[0]).sum() > proof.covers(EPS[1]).sum() > 0


def test_radii_are_those_of_the_plugin_and_reach_the_eps_that_is_proven(model, eval_images):
    plain = certify.prove(model, certify_spec(), eval_images)
    searched = certify.prove(model, certify_spec(radius=True), eval_images)
    assert set(plain.radius.tolist()) <= {0.0, *EPS}
    assert torch.equal(plain.certified, torch.stack([plain.radius >= eps for eps in EPS]))
    assert torch.equal(searched.certified, plain.certified)
    assert (searched.radius >= plain.radius).all() and (searched.radius > plain.radius).any()
    assert ((plain.margin > 0) == plain.certified).all()


def test_smoothing_draws_once_for_all_eps(model, eval_images, monkeypatch):
    spec, calls = certify_spec(SMOOTH, (0.1, 0.3)), []
    real = certify.certify.certify
    monkeypatch.setattr(certify.certify, "certify", lambda *a: calls.append(a) or real(*a))
    found = certify.prove(model, spec, eval_images)
    assert len(calls) == 4  # pools of 8 images, not times two eps
    assert torch.allclose(found.margin[0], found.radius - 0.1)
    assert torch.allclose(found.margin[1], found.radius - 0.3)
    assert torch.equal(found.certified[1], (found.radius > 0) & (found.radius >= 0.3))
    (single,) = certify.prove(model, certify_spec(SMOOTH, (0.3,)), eval_images).certified
    assert torch.equal(single, found.certified[1])
    half = eval_images.select(torch.arange(14, 30))
    part = certify.prove(model, spec | {"batch": 5}, half)
    assert torch.equal(part.radius, found.radius[14:])


def test_an_interrupted_certificate_goes_on_from_its_last_pool(
    model, eval_images, tmp_path, monkeypatch
):
    spec, real, calls = certify_spec(), certify._pool, []
    whole = certify.prove(model, spec, eval_images)

    def interrupted(*given):
        calls.append(given)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(certify, "_pool", interrupted)
    with pytest.raises(KeyboardInterrupt):
        certify.prove(model, spec, eval_images, tmp_path)
    again = certify.prove(model, spec, eval_images, tmp_path)
    assert len(calls) == 5  # pools of 8, 8, 8 and 6: the last two were left
    assert torch.equal(again.radius, whole.radius) and torch.equal(again.margin, whole.margin)
    next(tmp_path.glob("pool00001.pt")).write_bytes(b"cut")
    assert partial.resumed(tmp_path, 1, ["radius"]) is None


def test_a_model_that_cannot_be_read_gets_a_note_and_no_bound(eval_images, tmp_path):
    class Odd(torch.nn.Module):
        def forward(self, images):
            return torch.fft.rfft(images.flatten(1)).real[:, :2]

    path = write_proof(tmp_path / "c" / "test" / "ledger.csv", Odd(), certify_spec(), eval_images)
    proof = certificate_ledger.read_certificate(path)
    assert "attacks still run" in proof.note and (proof.radius == 0).all()
    assert certificate_ledger.proven([proof], "linf") is None


def test_logits_that_are_no_numbers_name_the_images_place(model, eval_images):
    class Broken(torch.nn.Module):
        def forward(self, images):
            return model(images) * torch.nan

    with pytest.raises(GauntletError, match="image 229 are not finite"):
        certify.prove(Broken(), certify_spec(SMOOTH), eval_images)


def edited(**change):
    return lambda row: row | change


DAMAGE = {
    "no column": (lambda row: {k: v for k, v in row.items() if k != "radius"}, "column 'radius'"),
    "text": (edited(index="x"), "no readable certificate"),
    "twice": (edited(index=200), "other images at one eps"),
    "norm": (edited(norm="l7"), "norm other than"),
    "negative": (edited(radius=-1), "no number of 0 or more"),
    "not finite": (edited(radius="inf"), "no number of 0 or more"),
    "who": (edited(classifier="mine"), "another classifier"),
    "claim": (edited(certified=1, radius=0), "certified image whose radius is below eps"),
    "wrong": (edited(radius=0.5, clean_prediction=9), "the model gets wrong"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_certificates_that_cannot_be_true(case, model, eval_images, tmp_path):
    change, message = DAMAGE[case]
    path = write_proof(tmp_path / "c" / "test" / "ledger.csv", model, certify_spec(), eval_images)
    rows = [change(row) for row in csv.DictReader(path.read_text().splitlines())]
    builders.write_table(path, rows)
    with pytest.raises(GauntletError, match=message) as caught:
        certificate_ledger.read_certificate(path)
    assert "ledger.csv" in str(caught.value)


@pytest.mark.parametrize("error", [ValueError, GauntletError])
def test_a_setting_that_a_certificate_refuses_is_one_sentence(error, model, eval_images):
    def refused(*_, **__):
        raise error("n is 0; allowed is 1 or more.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gauntlet.certify.certify", refused)
        with pytest.raises(GauntletError) as caught:
            certify.prove(model, certify_spec(), eval_images)
    assert str(caught.value) == (
        "The certificate crown cannot be made for this model: n is 0; allowed is 1 or more."
    )
