"""`gauntlet.certify`: exact on a linear model, chosen by size, honest about what it cannot read."""

import pytest
import torch
from torch import nn

import gauntlet
from gauntlet.api import certify_run
from gauntlet.api.user_inputs import prepared
from tests.helpers import plain_models

N = 12


@pytest.mark.parametrize("kind", ["crown", "ibp", "auto"])
def test_a_linear_model_is_certified_exactly(kind):
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[1.0, -2.0, 0.5, 0.25], [0.0, 0.0, 0.0, 0.0]]))
        model[1].bias.copy_(torch.tensor([0.1, 0.0]))
    images = 0.3 + 0.4 * torch.rand(64, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    gap = (model(images)[:, 0] - model(images)[:, 1]).detach()
    report = gauntlet.certify(model, images, (gap < 0).long(), eps=0.1, certificate=kind)
    sure = (gap.abs() - 0.375).abs() > 1e-3
    assert torch.equal(report.certified[sure], (gap.abs() > 0.375)[sure])
    assert 0.1 < report.certified_accuracy < 0.9


def test_what_a_report_holds():
    ask = {"eps": 0.02, "certificate": "crown", "radius": True}
    report = gauntlet.certify(plain_models.network(), *plain_models.test_part(N), **ask)
    low, high = report.certified_interval
    assert report.n == N and low <= report.certified_accuracy <= high
    assert torch.equal(report.certified, report.radius >= 0.02)
    assert report.settings["slopes"] == "adaptive" and report.deterministic and report.note == ""
    assert list(report.to_pandas()["certified"]) == report.certified.tolist()
    assert "crown" in str(report) and f"{100 * report.certified_accuracy:.1f} [" in str(report)


def test_a_model_that_cannot_be_read():
    report = gauntlet.certify(lambda x: x.flatten(1)[:, :10], *plain_models.test_part(N), eps=0.1)
    assert report.certified_accuracy == 0 and "needs the model's layers" in report.note
    assert f"No certificate: {report.note}" in str(report)


def test_smoothing():
    model, given = plain_models.network(), plain_models.test_part(6)
    ask = {"eps": 0.05, "certificate": "smoothing", "sigma": "12/255", "n": 200}
    first, again = (gauntlet.certify(model, *given, **ask) for _ in range(2))
    assert first.norm == "l2" and not first.deterministic
    assert torch.equal(first.radius, again.radius) and first.certified_accuracy > 0
    assert "smoothed classifier" in str(first)


def test_auto_takes_cheaper_bounds_for_larger_networks(monkeypatch):
    model, given = plain_models.network(), plain_models.test_part(2)
    with prepared(model, *given) as inputs:
        assert certify_run.neurons(inputs) == 8 * 8 * 8 + 10
        chosen = []
        for most in (10_000, 300, 100):
            sizes = {most: ("crown", {}), 2 * most: ("crown", {"intermediate": "ibp"})}
            monkeypatch.setattr(certify_run, "KINDS", sizes)
            chosen.append(certify_run.chosen_kind(inputs))
    assert chosen[0] == ("crown", {}) and chosen[1] == ("crown", {"intermediate": "ibp"})
    assert chosen[2] == ("ibp", {"radius": False})
