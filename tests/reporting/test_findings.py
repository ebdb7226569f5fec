"""Sentences below figures say what the numbers say, and change when the numbers do."""

import pytest

from gauntlet.reporting import findings
from gauntlet.reporting.findings import Standing

KINDS = {
    "baseline": {"kind": "standard", "single_step": False},
    "noise": {"kind": "gaussian_noise", "single_step": False},
    "fgsm": {"kind": "adversarial", "single_step": True},
    "pgd": {"kind": "adversarial", "single_step": False},
}
LINF = ("linf", "0.15")


def study(**other):
    found = {
        "baseline": Standing(0.99, 0.1, passes=60),
        "noise": Standing(0.98, 0.15, passes=60),
        "fgsm": Standing(0.97, 0.5, passes=120),
        "pgd": Standing(0.95, 0.6, passes=480),
    }
    return found | other


def test_noise_is_judged_by_its_numbers():
    weak = findings.noise_sentence(study(), KINDS, LINF)
    assert weak.startswith("Training on noise does not resist") and "15.0 % at linf 0.15" in weak
    strong = findings.noise_sentence(study(noise=Standing(0.98, 0.55)), KINDS, LINF)
    assert strong.startswith("Training on noise resists some")
    assert findings.noise_sentence({"pgd": Standing(0.9, 0.5)}, KINDS, LINF) is None


@pytest.mark.parametrize("text", findings.COLLAPSE)
def test_collapse_is_told_by_the_trainings_own_warnings(text):
    fallen = study(fgsm=Standing(0.97, 0.02, (f"{text} in epoch 9",)))
    assert "that was seen in fgsm (2.0 %)" in findings.collapse_sentence(fallen, KINDS)
    assert "No single-step training collapsed" in findings.collapse_sentence(study(), KINDS)
    del fallen["fgsm"]
    assert findings.collapse_sentence(fallen, KINDS) is None


def test_the_words_of_collapse_are_those_that_training_writes():
    from gauntlet.training.catastrophic_overfitting import find_collapse

    good = {"epoch": 1, "validation_fgsm": 0.7, "validation_robust": 0.6}
    bad = {"epoch": 2, "validation_fgsm": 0.8, "validation_robust": 0.0}
    told = [find_collapse([good, bad], True), find_collapse([bad], True)]
    assert all(words in text for words, text in zip(findings.COLLAPSE, told, strict=True))


def test_the_price_is_that_of_the_most_robust_model():
    assert "gains 50.0 points" in findings.price_sentence(study(), KINDS, LINF)
    free = study(pgd=Standing(0.98, 0.6))
    told = findings.price_sentence(free, KINDS, LINF)
    assert "costs" not in told and "98.0 % on clean images, baseline 99.0 %" in told
    useless = {name: Standing(0.9, 0.5) for name in ("baseline", "pgd")}
    assert findings.price_sentence(useless, KINDS, LINF) is None


def test_a_study_in_which_nothing_was_measured_has_no_sentence():
    assert findings.noise_sentence({}, KINDS, LINF) is None
    assert findings.price_sentence({}, KINDS, LINF) is None
    assert findings.collapse_sentence({}, KINDS) is None
    assert findings.compute_sentences({}, KINDS) == []


def test_cheap_trainings_are_found_only_where_they_come_close():
    first, second = findings.compute_sentences(study(), KINDS)
    assert "pgd, the most robust model, took 8 times" in first
    assert second.startswith("No cheaper training")
    close = findings.compute_sentences(study(fgsm=Standing(0.97, 0.59, passes=120)), KINDS)
    assert close[1].startswith("fgsm comes within 1.0 points") and "0.25 times" in close[1]
    assert findings.compute_sentences({"pgd": Standing(0.9, 0.5, passes=9)}, KINDS) == []
