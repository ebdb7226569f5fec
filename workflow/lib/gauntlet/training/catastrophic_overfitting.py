"""Catastrophic overfitting of single-step training: robust to FGSM, but not to PGD."""

from collections.abc import Sequence

GAP = 0.3  # collapse: FGSM accuracy is above PGD accuracy by more than this, and
DROP = 0.5  # PGD accuracy is below this share of the best one so far


def find_collapse(history: Sequence[dict], single_step: bool) -> str | None:
    """Describe in one sentence the epoch in which a training collapsed; None if it did not.

    `history` has a row per epoch with validation accuracies in [0, 1]. In single-step training
    (`single_step`) a gap in the last epoch is reported too, even if PGD accuracy never dropped.
    Source: Wong et al. 2020, "Fast is better than free".
    """
    highest = 0.0
    for row in history:
        robust, quick = row["validation_robust"], row["validation_fgsm"]
        highest = max(highest, robust)
        if quick - robust > GAP and robust < DROP * highest:
            return f"single-step collapse in epoch {_accuracies(row)} after {highest:.0%}"
    last = history[-1]
    if single_step and last["validation_fgsm"] - last["validation_robust"] > GAP:
        return f"single-step training withstands one step only, epoch {_accuracies(last)}"
    return None


def _accuracies(row: dict) -> str:
    quick, robust = row["validation_fgsm"], row["validation_robust"]
    return f"{row['epoch']}: FGSM accuracy {quick:.0%}, PGD accuracy {robust:.0%}"
