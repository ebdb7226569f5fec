"""What a check breaks is kept: the nearest example of every image, and who found it."""

import numpy as np
import pytest
import torch

from gauntlet.audit import audit
from gauntlet.audit._broken import BrokenImages
from gauntlet.core.threat_models import admissible
from tests.helpers import audited
from tests.helpers.tricks import OneHot

CLEAN = torch.full((3, 1, 2, 2), 0.5)
ROWS = torch.arange(3)


def _moved(*far: float) -> torch.Tensor:
    return CLEAN + torch.tensor(far).view(-1, 1, 1, 1)


def test_the_nearest_example_is_kept_with_its_check():
    broken, seen = BrokenImages(CLEAN, "linf"), torch.tensor([True, True, False])
    broken.add(ROWS, _moved(0.3, 0.1, 0.1), ROWS, seen, "first")
    broken.add(ROWS, _moved(0.2, 0.2, 0.2), ROWS + 5, seen, "second")
    assert broken.by == ["second", "first", ""] and broken.found.tolist() == [True, True, False]
    assert torch.allclose(broken.distance[:2], torch.tensor([0.2, 0.1], dtype=torch.float64))
    assert broken.prediction.tolist() == [5, 1, -1]
    assert broken.within(0.15).tolist() == [False, True, False]
    assert torch.equal(broken.examples[2], CLEAN[2])


@pytest.mark.parametrize("value", [1.1, -0.1, float("nan"), float("inf")])
def test_an_example_that_is_no_image_never_counts(value):
    broken = BrokenImages(CLEAN, "l2")
    broken.add(ROWS, torch.full_like(CLEAN, value), ROWS, ROWS >= 0, "check")
    assert not broken.found.any()


@pytest.fixture(scope="module")
def masked():
    """A network that answers with nothing but a class, after its whole audit."""
    subject = audited.subject(OneHot(audited.trained("plain")[0]).eval())
    return subject, list(audit(subject, audited.CHECKS))


def test_what_checks_show_is_kept_image_by_image(masked):
    subject, findings = masked
    inside = subject.broken.within(audited.EPS * (1 + 1e-6))
    left = float((subject.correct & ~inside).float().mean())
    evidence = next(f.evidence for f in findings if f.check == "black_box")
    assert evidence["accuracy_under_transfer"] < subject.clean - 0.2
    shown = [value for f in findings for key, value in f.evidence.items() if _at_eps(key)]
    assert len(shown) > 5 and left <= min(shown) + 1e-3
    assert {by for by in subject.broken.by if by} <= set(audited.CHECKS)
    assert "black_box" in subject.broken.by


def _at_eps(key: str) -> bool:
    """Tell whether evidence is an accuracy that the audit's own eps leaves."""
    half = key in (f"accuracy_at_{audited.EPS / 2:g}", f"accuracy_at_{audited.EPS * 2:g}")
    return key.startswith("accuracy_") and not half and "noise" not in key


def test_kept_examples_are_admissible_and_misclassified(masked):
    subject, _ = masked
    broken = subject.broken
    rows = broken.found.nonzero().squeeze(1)
    assert bool(admissible(broken.examples, subject.images, "none", 0.0)[rows].all())
    answers = subject.model(broken.examples[rows]).argmax(1)
    assert torch.equal(answers, broken.prediction[rows])
    assert bool((answers != subject.labels[rows]).all()) and bool(subject.correct[rows].all())
    spans = (broken.examples - subject.images).abs().flatten(1).amax(1)
    assert np.allclose(spans[rows], broken.distance[rows], atol=1e-7)
