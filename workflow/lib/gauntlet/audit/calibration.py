"""Confidence should fall with accuracy."""

import torch

from gauntlet.audit._finding import PASS, WARN, Finding
from gauntlet.audit._subject import Subject

BINS = 15
CLEAN_AT, ATTACKED_AT = 0.1, 0.4
ORDER = 170  # place among the checks


def calibration(subject: Subject) -> Finding:
    """Measure the expected calibration error on clean images and on PGD's examples.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks" (15 bins).

    Measured (see `graded`): 0.02 to 0.46 on clean images and 0.07 to 0.5 under attack on honest
    models, so that this only warns.
    """
    outcome = subject.pgd()
    with subject.steady("calibration"):
        hostile = subject.batched()(outcome.images)
    errors = [
        expected_error(logits, subject.labels, subject.note) for logits in (subject.logits, hostile)
    ]
    clean, attacked = (round(error, 4) for error in errors)
    evidence = {"clean_calibration_error": clean, "calibration_error_under_attack": attacked}
    if clean < CLEAN_AT and attacked < ATTACKED_AT:
        meaning = "Confidence follows accuracy, under attack too."
        return Finding("calibration", PASS, evidence, meaning)
    return Finding(
        "calibration",
        WARN,
        evidence,
        "The model is sure of answers that are wrong, so its confidence warns of nothing.",
        "Do not use confidence to tell attacks; models trained with attacks inside are calibrated "
        "better.",
    )


def expected_error(logits: torch.Tensor, labels: torch.Tensor, note: str = "") -> float:
    """Give the mean gap between confidence and accuracy over bins of confidence.

    `note` says that the outputs [N, K] are probabilities already.
    """
    confidence, answer = (logits if note else logits.softmax(1)).max(1)
    right = (answer == labels).double()
    places = (confidence * BINS).long().clamp(max=BINS - 1)
    total = 0.0
    for place in places.unique():
        mine = places == place
        total += float((confidence[mine].double().mean() - right[mine].mean()).abs() * mine.sum())
    return total / len(labels)
