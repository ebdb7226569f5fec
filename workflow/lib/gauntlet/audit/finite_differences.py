"""Gradients must predict how the margin changes with the image."""

import torch
from torch import Tensor

from gauntlet.attacks.base.losses import margin
from gauntlet.audit._finding import STRAIGHT, Finding, graded
from gauntlet.audit._subject import PLAIN, Subject
from gauntlet.audit._subject import STRAIGHT as THROUGH

REACH, DIRECTIONS = 0.25, 4  # of eps; random directions per image
WARN_AT, FAIL_AT = 0.2, 0.5  # one minus the correlation
ORDER = 20  # place among the checks


def finite_differences(subject: Subject) -> Finding:
    """Correlate the margin's slope, by its gradient, with differences over a quarter of eps.

    Where they disagree, a straight-through gradient is tried. Source: Athalye et al. 2018,
    "Obfuscated Gradients Give a False Sense of Security" (shattered gradients).

    Measured (see `graded`): the correlation is 0.91 to 0.98 on honest models, 0 where gradients
    are cut off, 0.33 with a random size, 0.6 with noise, 0.07 to 0.67 after a collapse.
    """
    predicted, real = _slopes(subject, PLAIN)
    agreement = correlation(predicted, real)
    verdict = graded(round(1 - agreement, 4), WARN_AT, FAIL_AT)
    evidence = {"correlation": agreement}
    if verdict == "pass":
        meaning = "Gradients agree with finite differences."
        return Finding("finite_differences", verdict, evidence, meaning)
    plain = subject.pgd()
    through = subject.pgd(THROUGH, after=[plain], loss="margin")
    evidence |= {
        "correlation_straight_through": correlation(_slopes(subject, THROUGH)[0], real),
        "accuracy": subject.accuracy(plain),
        "accuracy_after_straight_through": subject.accuracy(plain, through),
    }
    return Finding(
        "finite_differences",
        verdict,
        evidence,
        "Gradients do not predict how the margin changes: they are shattered or cut off.",
        "Attack with a straight-through gradient (BPDA), as tried here, and by random search.",
        STRAIGHT,
    )


def _slopes(subject: Subject, view: str) -> tuple[Tensor, Tensor]:
    """Give the margin's change along random directions: by its gradient, and as it is."""
    length = REACH * subject.eps
    room = length if subject.norm == "linf" else 0.0
    base = subject.images.clamp(room, max(1 - room, room))
    slope = subject.margin_gradient(base, view)
    predicted, real = [], []
    for number in range(DIRECTIONS):
        move = subject.nearby(f"direction {number}", length, sign=True)
        ends = []
        for side in (1, -1):
            with subject.fixed("ends"):
                ends.append(margin(subject.batched()(base + side * move), subject.labels))
        predicted.append((slope * move).flatten(1).sum(1))
        real.append((ends[0] - ends[1]) / 2)
    keep = subject.correct
    return torch.cat([part[keep] for part in predicted]), torch.cat([part[keep] for part in real])


def correlation(predicted: Tensor, real: Tensor) -> float:
    """Give the correlation of two lists of numbers, 0 where one of them never changes."""
    predicted, real = predicted.double(), real.double()
    predicted, real = predicted - predicted.mean(), real - real.mean()
    size = predicted.norm() * real.norm()
    value = float((predicted * real).sum() / size) if float(size) > 0 else 0.0
    return round(value, 4) if value == value else 0.0
