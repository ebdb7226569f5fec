"""What figures take from rows of the robustness table: accuracies with intervals, main threats."""

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from gauntlet.core.records import read_json
from gauntlet.evaluation.attack_ledger import SELF
from gauntlet.evaluation.metrics import WORST, wilson
from gauntlet.reporting.headline import Column, column_of, headline

UPPER_BOUND = (
    "Worst case: an image counts only if it withstands every white-box attack that was run with "
    "this norm and eps, hence an upper bound of true robustness."
)


class Value(NamedTuple):
    """An accuracy: mean over seeds, Wilson 95 % interval of the mean for n images, each seed's."""

    mean: float
    low: float
    high: float
    seeds: list[float]

    @property
    def reach(self) -> tuple[list[float], list[float]]:
        """Give the interval as Matplotlib's error bars want it: below and above the mean."""
        return [self.mean - self.low], [self.high - self.mean]


def value(rows: Sequence[dict], name: str = "robust") -> Value | None:
    """Join the seeds' rows of one attack and eps; `name` is clean or robust; None for no rows."""
    if not rows:
        return None
    seeds = [float(row[f"{name}_accuracy"]) for row in rows if row[f"{name}_accuracy"] != ""]
    if not seeds:
        return None
    return Value(fmean(seeds), *wilson(fmean(seeds), int(rows[0]["n"])), seeds)


def at(rows: Sequence[dict], column: Column) -> list[dict]:
    """Give the rows of one attack at one eps."""
    return [row for row in rows if column_of(row) == column]


def clean_value(rows: Sequence[dict]) -> Value:
    """Join the seeds' clean accuracies of one model, which each of its rows repeats."""
    return value(list({row["seed"]: row for row in rows}.values()), "clean")


def measured(rows: Sequence[dict]) -> list[dict]:
    """Leave out the rows of attacks that were refused."""
    return [row for row in rows if row["robust_accuracy"] != ""]


def split(rows: Sequence[dict], *names: str) -> dict:
    """Group rows by some columns, in their order; by one column the keys are plain texts."""
    groups: dict = {}
    for row in rows:
        key = row[names[0]] if len(names) == 1 else tuple(row[name] for name in names)
        groups.setdefault(key, []).append(row)
    return groups


def main_threat(rows: Sequence[dict]) -> tuple[str, str] | None:
    """Choose the (norm, eps) that a study is about: most white-box attacks, on a tie, the first."""
    attacks: dict[tuple[str, str], int] = {}
    for column in headline(rows):
        if column.source == SELF and column.norm != "noise":
            attacks[column.threat] = attacks.get(column.threat, 0) + 1
    return max(attacks, key=attacks.get, default=None)


def strongest(rows: Sequence[dict], threat: tuple[str, str]) -> list[dict]:
    """Give the rows of the worst case at (norm, eps), or of the only attack there."""
    there = [r for r in rows if r["source"] == SELF and (r["norm"], str(r["eps"])) == threat]
    joined = [row for row in there if row["attack"] == WORST]
    return joined or there


def several_seeds(rows: Sequence[dict]) -> bool:
    """Tell whether rows are of more than one seed."""
    return len({row["seed"] for row in rows}) > 1


def read_records(paths: Sequence[str]) -> list[dict]:
    """Read JSON records, in order."""
    return [read_json(path) for path in paths]


def sample_text(rows: Sequence[dict]) -> str:
    """Say how many images and seeds rows of the robustness table have."""
    counts = list(dict.fromkeys(str(row["n"]) for row in rows))
    seeds = list(dict.fromkeys(str(row["seed"]) for row in rows))
    word = "seed" if len(seeds) == 1 else "seeds"
    return f"n = {' or '.join(counts)} test images, {word} {', '.join(seeds)}"
