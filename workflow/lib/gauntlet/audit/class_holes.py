"""No class may be far less accurate than the others."""

import torch

from gauntlet.audit._finding import INFO, PASS, Finding
from gauntlet.audit._subject import Subject

Z95 = 1.959963984540054
ROBUST_HOLE, CLEAN_HOLE = 0.2, 0.3  # below the mean of all images, interval included
ORDER = 160  # place among the checks


def class_holes(subject: Subject) -> Finding:
    """Compare every class's clean and robust accuracy with that of all images.

    A hole is a class whose Wilson 95 % interval ends so far below. Source: Tian et al. 2021,
    "Analysis and Applications of Class-wise Robustness in Adversarial Training".

    Measured (see `graded`): the least accurate class of honest models on Fashion-MNIST has a
    clean accuracy of 0.13 to 0.69 where all have 0.78 to 0.85, so that a hole is information only.
    """
    images, labels = subject.test if subject.test is not None else (subject.images, subject.labels)
    with subject.fixed("classes"):
        clean = subject.batched()(images).argmax(1) == labels
    robust = subject.active(subject.pgd())
    holes = {
        "clean": _holes(clean, labels, CLEAN_HOLE),
        "robust": _holes(robust, subject.labels, ROBUST_HOLE),
    }
    evidence = {
        "clean_accuracy": round(float(clean.float().mean()), 4),
        "lowest_clean_of_a_class": _lowest(clean, labels),
        "robust_accuracy": round(float(robust.float().mean()), 4),
        "lowest_robust_of_a_class": _lowest(robust, subject.labels),
        "classes_with_a_clean_hole": ", ".join(map(str, holes["clean"])),
        "classes_with_a_robust_hole": ", ".join(map(str, holes["robust"])),
    }
    verdict = INFO if holes["clean"] or holes["robust"] else PASS
    if verdict == PASS:
        return Finding(
            "class_holes", PASS, evidence, "No class is far less accurate than the others."
        )
    return Finding(
        "class_holes",
        verdict,
        evidence,
        "A class is far less accurate than the others, which the mean over all images hides.",
        "Report accuracies by class, and look at this class's images and labels.",
    )


def _holes(right: torch.Tensor, labels: torch.Tensor, depth: float) -> list[int]:
    mean = float(right.float().mean())
    return [
        label
        for label in labels.unique().tolist()
        if _upper(float(right[labels == label].float().mean()), int((labels == label).sum()))
        < mean - depth
    ]


def _upper(accuracy: float, n: int) -> float:
    """Give the upper end of Wilson's 95 % score interval of a share of n images."""
    square = Z95**2
    center = (accuracy + square / (2 * n)) / (1 + square / n)
    spread = accuracy * (1 - accuracy) / n + square / (4 * n**2)
    return center + Z95 * spread**0.5 / (1 + square / n)


def _lowest(right: torch.Tensor, labels: torch.Tensor) -> float:
    shares = [float(right[labels == label].float().mean()) for label in labels.unique()]
    return round(min(shares), 4)
