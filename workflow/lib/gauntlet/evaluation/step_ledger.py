"""Ledgers of steps before a model, and the numbers that they give. NumPy only.

Two ledgers belong to each step: naive (examples that were made against the model alone) and
adaptive (an attack through the step). A step that answers differently each time has shares of draws
instead of 0 and 1: of an image and an attack the mean over draws counts, and of several attacks the
lowest mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.records import RUN_NAMES
from gauntlet.core.tolerance import SLACK
from gauntlet.evaluation.attack_ledger import read_columns
from gauntlet.evaluation.metrics import rounded, wilson

INTEGERS = ("index", "label", "clean_without_step", "right_without_step")
NUMBERS = ("eps", "clean", "right", "rejected_clean", "rejected")
TEXTS = ("attack", "made", "norm")
SAME = ("index", "label", "clean")  # of one step before one model, in both ledgers
ROUNDING = 1e-9
COLUMNS = (
    *(*RUN_NAMES, "preprocess", "norm", "eps", "n", "clean_without_step", "without_step"),
    *("clean_accuracy", "clean_low", "clean_high", "rejected_clean"),
    *("naive_accuracy", "naive_low", "naive_high"),
    *("adaptive_accuracy", "adaptive_low", "adaptive_high", "adaptive_alone"),
    *("rejected_adaptive", "warning"),
)


@dataclass(frozen=True)
class StepLedger:
    """One set of examples behind a step; arrays [n], sorted by index.

    `clean` and `right` are shares of draws in which the clean image, and its example, get the label
    and are not rejected; `rejected_clean` and `rejected` those in which they are rejected.
    """

    path: str
    attack: str
    made: str
    norm: str
    eps: float
    index: np.ndarray
    label: np.ndarray
    clean: np.ndarray
    right: np.ndarray
    rejected_clean: np.ndarray
    rejected: np.ndarray
    clean_without_step: np.ndarray
    right_without_step: np.ndarray

    @property
    def robust(self) -> np.ndarray:
        """Give the share that holds with and without the attack: a rejected example is defended."""
        return np.minimum(self.clean, self.right + self.rejected)

    def counts_at(self, norm: str, eps: float) -> bool:
        """Tell whether these examples lie in a ball: also those of a smaller one do."""
        return self.norm == norm and self.eps <= eps * (1 + SLACK)


def read_step_ledger(path: str) -> list[StepLedger]:
    """Read a ledger: a StepLedger for each attack, kind of examples, norm and eps."""
    table = read_columns(path, "ledger of a step", INTEGERS, NUMBERS, TEXTS)
    for name in ("clean", "right", "rejected_clean", "rejected"):
        if not ((table[name] >= 0) & (table[name] <= 1)).all():
            raise GauntletError(f"{path} has a {name} that is no share from 0 to 1.")
    keys = list(zip(*(table[name] for name in (*TEXTS, "eps")), strict=True))
    found = []
    for key in dict.fromkeys(keys):
        rows = np.flatnonzero([other == key for other in keys])
        rows = rows[np.argsort(table["index"][rows], kind="stable")]
        columns = {name: table[name][rows] for name in (*INTEGERS, *NUMBERS[1:])}
        attack, made, norm = map(str, key[:3])
        found.append(StepLedger(str(path), attack, made, norm, float(key[3]), **columns))
    return found


def measure_step(
    naive: Sequence[StepLedger], adaptive: Sequence[StepLedger], norm: str, eps: float
) -> dict:
    """Give the numbers of a step at one norm and eps.

    The adaptive accuracy is the worst case, per image, over the attack through the step and over
    the naive examples. Raises GauntletError if the ledgers are about different images.
    """
    blind = [one for one in naive if one.counts_at(norm, eps)]
    through = [one for one in adaptive if one.counts_at(norm, eps)]
    if not blind or not through:
        path = (naive or adaptive)[0].path
        raise GauntletError(f"{path} or its neighbor has no examples for {norm} {eps:g}.")
    _require_same([*blind, *through])
    first, n = blind[0], len(blind[0].index)
    alone = np.min([one.robust for one in through], axis=0)
    known = np.min([one.robust for one in blind], axis=0)
    plain = [one.clean_without_step & one.right_without_step for one in blind]
    means = {
        "clean_accuracy": first.clean.mean(),
        "naive_accuracy": known.mean(),
        "adaptive_accuracy": worst_of_both(alone, known).mean(),
        "adaptive_alone": alone.mean(),
        "clean_without_step": first.clean_without_step.mean(),
        "without_step": np.min(plain, axis=0).mean(),
        "rejected_clean": first.rejected_clean.mean(),
        "rejected_adaptive": through[-1].rejected.mean(),
    }
    row = {"norm": norm, "eps": eps, "n": n, "warning": _warning(means)}
    for name in ("clean", "naive", "adaptive"):
        row[f"{name}_low"], row[f"{name}_high"] = wilson(float(means[f"{name}_accuracy"]), n)
    return row | {name: rounded(value) for name, value in means.items()}


def worst_of_both(alone: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Give the lower share per image: who knows the step can also use examples that do not."""
    return np.minimum(alone, known)


def require_order(row: dict) -> None:
    """Raise GauntletError if an adaptive accuracy is above its naive one.

    Who knows the step can do all that the others can; a higher number is an error of ours.
    """
    if row["adaptive_accuracy"] > row["naive_accuracy"] + ROUNDING:
        model = "/".join(str(row[name]) for name in RUN_NAMES)
        raise GauntletError(
            f"The step '{row['preprocess']}' before {model} has the adaptive accuracy "
            f"{row['adaptive_accuracy']:.4f} at {row['norm']} {row['eps']:g}, above the naive one "
            f"{row['naive_accuracy']:.4f}; allowed is at most that."
        )


def _warning(means: dict) -> str:
    """Say so if the attack through the step does less than examples that do not know it."""
    alone, naive = means["adaptive_alone"], means["naive_accuracy"]
    if alone <= naive + ROUNDING:
        return ""
    return (
        f"the attack through the step alone leaves {100 * alone:.1f} %, more than examples that do "
        f"not know it ({100 * naive:.1f} %): too weak; give it more steps, restarts or samples"
    )


def _require_same(ledgers: Sequence[StepLedger]) -> None:
    first = ledgers[0]
    for other in ledgers[1:]:
        for name in SAME:
            if not np.array_equal(getattr(first, name), getattr(other, name)):
                raise GauntletError(
                    f"{first.path} and {other.path} differ in '{name}'; allowed are ledgers of the "
                    "same step before the same model."
                )
