"""Outputs must be logits."""

from gauntlet.audit._finding import FAIL, PASS, STRAIGHT, WARN, Finding
from gauntlet.audit._subject import STRAIGHT as THROUGH
from gauntlet.audit._subject import Subject, share

DROP_AT = 0.03
ORDER = 40  # place among the checks


def probabilities(subject: Subject) -> Finding:
    """Recognize outputs that are probabilities, and attack the logits before the softmax.

    Source: Carlini & Wagner 2016, "Defensive Distillation is Not Robust to Adversarial Examples".

    Measured (see `graded`): attacks on the logits before a softmax of temperature 0.02 lower
    the accuracy by 0.21 to 0.72.
    """
    if not subject.note:
        return Finding("probabilities", PASS, {}, "The outputs are logits.")
    plain = subject.pgd()
    through = subject.pgd(THROUGH, after=[plain], loss="margin")
    drop = round(subject.accuracy(plain) - subject.accuracy(plain, through), 4)
    evidence = {
        "accuracy": subject.accuracy(plain),
        "accuracy_before_softmax": subject.accuracy(plain, through),
        "drop": drop,
        "saturated": share(subject.logits.amax(1) == 1),
    }
    return Finding(
        "probabilities",
        FAIL if drop >= DROP_AT else WARN,
        evidence,
        f"The model's {subject.note}, on which losses of logits mislead gradients.",
        "Leave the softmax out of the model; the rerun attacks the logits before it.",
        STRAIGHT,
    )
