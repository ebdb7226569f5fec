"""What a model's record says of attacks that failed on it: rows without an accuracy. NumPy only."""

from collections.abc import Sequence

from gauntlet.evaluation.attack_ledger import RERUN, AttackLedger
from gauntlet.evaluation.failures import Failure
from gauntlet.evaluation.metrics import REFUSED, WORST, measure

NAMES = ("attack", "source", "access", "norm", "eps", "n")
CLEAN = ("clean_accuracy", "clean_low", "clean_high")
NOT_MEASURED = (
    *REFUSED,
    *("mean_adversarial_loss", "mean_forwards", "mean_backwards"),
    *("median_linf", "median_l2", "median_l1"),
)


def with_failures(
    measured: dict, ledgers: Sequence[AttackLedger], failures: Sequence[Failure]
) -> dict:
    """Add a row for each failure, and withhold the worst cases in which an attack failed.

    A worst case without an attack that the study asks for would look better than it is. What the
    other attacks found stays. A failed rerun only warns: the audit's verdict stands beside it.
    """
    if not failures:
        return measured
    short = {(f.norm, f.eps): f for f in failures if f.attack != RERUN}
    rows, said = measured["rows"], [failure.sentence for failure in failures]
    single = [row for row in rows if row["attack"] != WORST]
    worst = [_worst(row, short, said) for row in rows if row["attack"] == WORST]
    added = [_row(failure, ledgers) for failure in failures]
    kept = [one for one in measured["thresholds"] if (one["norm"], one["eps"]) not in short]
    return measured | {"rows": [*single, *added, *worst], "thresholds": kept}


def _row(failure: Failure, ledgers: Sequence[AttackLedger]) -> dict:
    """Give names and, if another attack measured it, clean accuracy; nothing else is known."""
    clean = measure(ledgers[0]) if ledgers else {}
    return {
        **{name: getattr(failure, name) for name in NAMES},
        **{name: clean.get(name) for name in CLEAN},
        **dict.fromkeys(NOT_MEASURED),
        "success_by": {},
        "warnings": [failure.sentence],
        "failed": failure.reason,
    }


def _worst(row: dict, short: dict[tuple[str, float], Failure], said: list[str]) -> dict:
    row = row | {"warnings": list(dict.fromkeys([*row["warnings"], *said]))}
    failure = short.get((row["norm"], row["eps"]))
    return row if failure is None else row | dict.fromkeys(REFUSED) | {"failed": failure.reason}
