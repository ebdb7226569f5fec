"""What the audit's checks say agrees with what they measured; odd models end in a verdict."""

import hashlib

import pytest
import torch
from torch import nn

from gauntlet.attacks.base.bpda import StraightThrough
from gauntlet.audit import audit
from gauntlet.audit._broken import BrokenImages
from gauntlet.audit._finding import Finding, measured
from gauntlet.audit.calibration import calibration
from gauntlet.audit.linearity import linearity
from tests.helpers import audited
from tests.helpers.audited import CHECKS
from tests.helpers.bad_inputs import BAD


class Scaled(nn.Module):
    """A model whose logits are multiplied by a factor; a small one makes it underconfident."""

    def __init__(self, factor: float):
        super().__init__()
        self.net, self.factor = audited.trained("plain")[0], factor

    def forward(self, images):
        return self.factor * self.net(images)


def _calibration(logits: torch.Tensor, labels: torch.Tensor) -> Finding:
    images = torch.rand(len(labels), 1, 8, 8)
    subject = audited.subject(lambda x: logits[:1].expand(len(x), -1))
    subject.images, subject.labels, subject.index = images, labels, torch.arange(len(labels))
    subject.broken = BrokenImages(images, "linf")
    subject.__dict__["logits"] = logits
    return calibration(subject)


def _logits(confidences: list[float]) -> torch.Tensor:
    """Give logits [N, 10] whose highest softmax, of class 0, is as given."""
    first = torch.tensor(confidences)[:, None]
    return torch.cat([first, ((1 - first) / 9).expand(-1, 9)], 1).log()


@pytest.mark.parametrize(
    ("confidences", "right", "words"),
    [
        ([0.55] * 100, 82, "underconfident (mean confidence 0.55, accuracy 0.82)"),
        ([0.99] * 100, 50, "overconfident (mean confidence 0.99, accuracy 0.50)"),
        ([0.95] * 50 + [0.55] * 50, 75, "too high on some images and too low on others"),
    ],
)
def test_calibration_names_the_direction(confidences, right, words):
    labels = torch.zeros(100, dtype=torch.int64)
    wrong = torch.arange(100) >= right if right != 75 else torch.arange(100) < 25
    labels[wrong] = 1
    found = _calibration(_logits(confidences), labels)
    assert found.verdict == "info" and words in found.meaning
    assert "sure of answers that are wrong" not in found.meaning


def test_calibration_of_a_model_with_small_logits():
    found = calibration(audited.subject(Scaled(0.02)))
    assert (
        found.verdict == "info" and "on clean images the model is underconfident" in found.meaning
    )


def test_a_value_that_passes_is_named():
    some = measured(0.02, 0.03, "Nothing changes.", "The accuracy falls by")
    assert some == "The accuracy falls by 0.02, which is below 0.03."
    assert measured(0.0, 0.03, "Nothing changes.", "The accuracy falls by") == "Nothing changes."


class LeftTorch(nn.Module):
    """A network whose images leave PyTorch on the way, so that noise depends on their bytes."""

    def __init__(self, how: str):
        super().__init__()
        self.net, self.how = audited.trained("pgd")[0], how

    def forward(self, images):
        if self.how == "hash":
            return self.net(torch.stack([self._hashed(one) for one in images]))
        if self.how == "array":
            return self.net(torch.from_numpy(images.detach().cpu().numpy().round(1)))
        if self.how == "list":
            return self.net(torch.tensor(images.tolist()))
        if self.how == "item":
            return self.net(images * (1 if images.sum().item() > 0 else 0))
        logits = self.net(images)
        return nn.functional.one_hot(logits.argmax(1), logits.shape[1]).float() + 0 * logits

    def _hashed(self, image):
        digest = hashlib.sha256(image.detach().cpu().numpy().tobytes()).digest()
        draws = torch.Generator().manual_seed(int.from_bytes(digest[:6], "big"))
        return image + 0.15 * torch.randn(image.shape, generator=draws)


@pytest.mark.parametrize("how", ["hash", "array", "list", "item", "onehot"])
def test_a_network_that_leaves_pytorch_ends_in_a_verdict(how):
    model, few = LeftTorch(how).eval(), ("gradients", "finite_differences")
    found = {finding.check: finding for finding in audit(audited.subject(model), few)}
    assert set(found) == set(few)
    failed = [name for name, finding in found.items() if finding.verdict == "fail"]
    assert failed or how == "item"
    images = audited.digits()[2].images[:8]
    with torch.enable_grad():
        answers = StraightThrough(model)(images.clone().requires_grad_(True))
    assert answers.shape == (8, 10) and torch.allclose(answers.detach(), model(images), atol=1e-4)


def test_the_whole_audit_of_a_network_that_leaves_pytorch():
    found = list(audit(audited.subject(LeftTorch("array").eval()), CHECKS))
    assert [finding.check for finding in found] == list(CHECKS)
    assert any(finding.verdict == "fail" for finding in found)


def test_directions_of_tiny_gradients_are_compared():
    """A model whose cross-entropy is nearly zero everywhere has gradients like any other."""
    plain = linearity(audited.subject(audited.trained("pgd")[0]))
    tiny = linearity(audited.subject(Tiny(audited.trained("pgd")[0])))
    assert tiny.evidence["gradient_alignment"] == plain.evidence["gradient_alignment"] > 0.5


class Tiny(nn.Module):
    """A model whose gradient by the image is 1e-20 of that of another."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, images):
        return _Scaled.apply(self.net(images))


class _Scaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values):
        return values.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 1e-20


@pytest.mark.parametrize("name", ["normalized", "bytes", "column", "negative", "too high"])
def test_other_inputs_of_an_audit_are_named(name):
    subject = audited.subject(audited.trained("pgd")[0])
    change, words = BAD[name]
    images, labels = change(subject.images, subject.labels)
    with pytest.raises(ValueError, match=words.replace("12", "60")):
        odd = audited.Subject(subject.model, images, labels, subject.index, "linf", 0.1)
        list(audit(odd, ["gradients"]))


def test_no_images_are_skipped():
    subject = audited.subject(audited.trained("pgd")[0])
    none = (subject.images[:0], subject.labels[:0], subject.index[:0])
    found = list(audit(audited.Subject(subject.model, *none, "linf", 0.1), CHECKS))
    assert {finding.verdict for finding in found} == {"skipped"}


@pytest.mark.parametrize("mode", ["inference", "autocast", "train"])
def test_settings_of_the_caller_change_no_finding(mode):
    few = ("gradients", "convergence", "finite_differences")
    model = audited.trained("pgd")[0]
    plain = list(audit(audited.subject(model), few))
    contexts = {
        "inference": torch.inference_mode(),
        "autocast": torch.autocast("cpu", torch.bfloat16),
    }
    model.train(mode == "train")
    try:
        with contexts.get(mode, torch.no_grad()):
            assert list(audit(audited.subject(model), few)) == plain
    finally:
        model.eval()
