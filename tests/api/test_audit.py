"""`gauntlet.audit`: an honest model passes, a masked one fails, and it says what was found."""

import pytest
import torch
from torch import nn

import gauntlet
from tests.helpers import plain_models

CHEAP = {"steps": 5, "queries": 30, "samples": 2, "limit": 40}


@pytest.fixture(scope="module")
def given():
    """A small network and test images."""
    return plain_models.network(), *plain_models.test_part(60)


def test_an_honest_network_has_no_failure(given):
    report = gauntlet.audit(*given, eps=0.05, **CHEAP)
    assert report.verdict in ("pass", "warn") and report.n == 40 and report.norm == "linf"
    checks = {finding.check: finding.verdict for finding in report.findings}
    assert len(checks) == 19 and checks["gradients"] == "pass" and checks["leakage"] == "skipped"
    assert 0 <= report.accuracy_under_gradients <= report.clean_accuracy <= 1
    assert f"Audit: {report.verdict}" in str(report) and "finite_differences" in str(report)
    assert len(report.to_pandas()) == 19


class Rounded(nn.Module):
    """A network behind a step that lets no gradient through."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        return self.network((images * 15).round() / 15)


def test_masked_gradients_fail(given):
    model, images, labels = given
    ask = {"checks": ["gradients", "finite_differences"]} | CHEAP
    report = gauntlet.audit(Rounded(model), images, labels, eps=0.05, **ask)
    assert report.verdict == "fail" and report.remedies
    assert "fail" in str(report) and report.findings[0].advice in str(report)


def test_training_images_are_compared(given):
    model, images, labels = given
    train = tuple(part[: plain_models.TRAIN] for part in plain_models.digits())
    ask = {"checks": ["leakage"], "eps": 0.05} | CHEAP
    report = gauntlet.audit(model, images, labels, train=train, **ask)
    assert report.findings[0].verdict != "skipped"
    twins = (torch.cat([train[0], images]), torch.cat([train[1], labels]))
    report = gauntlet.audit(model, images, labels, train=twins, **ask)
    assert report.findings[0].verdict == "fail"
