"""Robust accuracy can fall during training."""

from gauntlet.audit._finding import INFO, PASS, Finding, skipped
from gauntlet.audit._subject import Subject

DROP = 0.05
ORDER = 140  # place among the checks


def overfitting(subject: Subject) -> Finding:
    """Compare the best epoch's robust validation accuracy with the last one's.

    Source: Rice et al. 2020, "Overfitting in Adversarially Robust Deep Learning".

    Measured (see `graded`): on digits plain training loses 0.12 to 0.13, PGD training 0.01 to
    0.04 and TRADES 0 to 0.06.
    """
    if not subject.history:
        return skipped("overfitting", "There is no history of the training.")
    robust = [row["validation_robust"] for row in subject.history]
    drop = round(max(robust) - robust[-1], 4)
    evidence = {"best": max(robust), "last": robust[-1], "drop": drop}
    if drop < DROP or subject.selection == "best":
        meaning = "The weights that were attacked are not overfitted."
        return Finding("overfitting", PASS, evidence, meaning)
    return Finding(
        "overfitting",
        INFO,
        evidence,
        "Robust accuracy dropped after its best epoch, and the last weights were attacked.",
        "Set selection: best, stop earlier or train with more data.",
    )
