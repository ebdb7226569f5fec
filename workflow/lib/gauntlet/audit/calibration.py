"""Confidence should fall with accuracy."""

import torch

from gauntlet.audit._finding import INFO, PASS, Finding
from gauntlet.audit._subject import Subject

BINS = 15
CLEAN_AT, ATTACKED_AT = 0.1, 0.4
ORDER = 170  # place among the checks


def calibration(subject: Subject) -> Finding:
    """Measure the expected calibration error on clean images and on PGD's examples.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks" (15 bins).

    Measured (see `graded`): 0.02 to 0.46 on clean images and 0.07 to 0.5 under attack on honest
    models, so that this is information only.
    """
    outcome = subject.pgd()
    with subject.fixed("calibration"):
        attacked_logits = subject.batched()(outcome.images)
    seen = (subject.logits, attacked_logits)
    clean, attacked = (
        round(expected_error(logits, subject.labels, subject.note), 4) for logits in seen
    )
    evidence = {"clean_calibration_error": clean, "calibration_error_under_attack": attacked}
    if clean < CLEAN_AT and attacked < ATTACKED_AT:
        meaning = "Confidence follows accuracy, under attack too."
        return Finding("calibration", PASS, evidence, meaning)
    parts = []
    if clean >= CLEAN_AT:
        parts.append(_said("on clean images", seen[0], subject.labels, subject.note, clean))
    if attacked >= ATTACKED_AT:
        parts.append(_said("under attack", seen[1], subject.labels, subject.note, attacked))
    return Finding(
        "calibration",
        INFO,
        evidence,
        f"Confidence does not follow accuracy: {'; '.join(parts)}.",
        "Do not detect attacks by confidence; scale the logits on validation data before "
        "confidences are used (temperature scaling).",
    )


def _said(where: str, logits: torch.Tensor, labels: torch.Tensor, note: str, error: float) -> str:
    """Say in which direction confidence and accuracy differ."""
    confidence, answer = (logits if note else logits.softmax(1)).max(1)
    sure, right = float(confidence.mean()), float((answer == labels).double().mean())
    numbers = f"(mean confidence {sure:.2f}, accuracy {right:.2f})"
    if abs(sure - right) < error / 2:
        return f"{where} confidence is too high on some images and too low on others {numbers}"
    direction = "overconfident" if sure > right else "underconfident"
    return f"{where} the model is {direction} {numbers}"


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
