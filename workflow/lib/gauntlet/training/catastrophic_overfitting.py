"""Catastrophic overfitting of single-step training: robust to FGSM, but not to PGD."""

from collections.abc import Sequence

GAP = 0.3  # collapse: FGSM accuracy is above PGD accuracy by more than this, and
DROP = 0.5  # PGD accuracy is below this share of the best one so far
TURN = 0.3  # it begins: the mean cosine of gradients is below this share of the best one so far


def is_collapsed(history: Sequence[dict], row: dict) -> bool:
    """Tell whether a training has collapsed in the epoch of `row`, which follows `history`."""
    robust, quick = row["validation_robust"], row["validation_fgsm"]
    highest = max((robust, *(before["validation_robust"] for before in history)))
    return quick - robust > GAP and robust < DROP * highest


def is_beginning(row: dict) -> bool:
    """Tell whether a collapse begins in an epoch: gradients turn within the ball, and PGD sees it.

    `collapse_begins` is the batch from which the recent cosine of gradients was below TURN times
    the best mean of an epoch before (see `gradient_watch`); 0 if none was, absent if none is
    watched.
    """
    wide = row["validation_fgsm"] - row["validation_robust"] > GAP
    return wide and bool(row.get("collapse_begins"))


def find_collapse(history: Sequence[dict], single_step: bool) -> str | None:
    """Describe in one sentence the epoch in which a training collapsed; None if it did not.

    `history` has a row per epoch with validation accuracies in [0, 1]. In single-step training
    (`single_step`) a gap in the last epoch is reported too, even if PGD accuracy never dropped.
    An epoch that was taken back does not count.
    Source: Wong et al. 2020, "Fast is better than free".
    """
    kept = [row for row in history if not row.get("rolled_back")]
    for place, row in enumerate(kept):
        if is_collapsed(kept[:place], row):
            highest = max(before["validation_robust"] for before in kept[:place])
            return f"single-step collapse in epoch {_accuracies(row)} after {highest:.0%}"
    last = kept[-1] if kept else None
    if single_step and last and last["validation_fgsm"] - last["validation_robust"] > GAP:
        return f"single-step training withstands one step only, epoch {_accuracies(last)}"
    return None


def _accuracies(row: dict) -> str:
    quick, robust = row["validation_fgsm"], row["validation_robust"]
    return f"{row['epoch']}: FGSM accuracy {quick:.0%}, PGD accuracy {robust:.0%}"
