"""Catastrophic overfitting of single-step training: it withstands one step, and no more."""

from collections.abc import Sequence

GAP = 0.3  # FGSM accuracy above PGD accuracy by this share, and
FALL = 0.5  # PGD accuracy below this share of its best: it collapsed


def find_collapse(history: Sequence[dict], single_step: bool) -> str | None:
    """Tell in one sentence where a training collapsed, if it did.

    `history` has a row per epoch with validation accuracies in [0, 1]. In single-step training
    (`single_step`) a gap that is left at the end is told as well, even if PGD accuracy never fell.
    Source: Wong et al. 2020, "Fast is better than free".
    """
    highest = 0.0
    for row in history:
        robust, quick = row["validation_robust"], row["validation_fgsm"]
        highest = max(highest, robust)
        if quick - robust > GAP and robust < FALL * highest:
            return f"single-step collapse in epoch {_told(row)} after {highest:.0%}"
    last = history[-1]
    if single_step and last["validation_fgsm"] - last["validation_robust"] > GAP:
        return f"single-step training withstands one step only, epoch {_told(last)}"
    return None


def _told(row: dict) -> str:
    quick, robust = row["validation_fgsm"], row["validation_robust"]
    return f"{row['epoch']}: FGSM accuracy {quick:.0%}, PGD accuracy {robust:.0%}"
