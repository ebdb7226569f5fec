"""The table of defenses against plain training, image by image."""

from collections.abc import Sequence

from gauntlet.evaluation.summary import MODEL
from gauntlet.reporting.formatting import threat_label
from gauntlet.reporting.tables import Table

HEAD = ("against", "under", "n", "seeds", "difference", "95 %", "by seed", "result")
NOTE = (
    "Against plain training: the same images one by one. Difference: points gained (+) or lost (-) "
    "in accuracy, under the worst case of a norm and eps or on clean images; [ ]: 95 % interval "
    "over images. Better or worse only where neither the interval nor any seed reaches the other "
    "side of 0."
)


def comparison_tables(rows: Sequence[dict]) -> list[Table]:
    """Make the table of the rows of comparisons.csv, or none without rows."""
    names = [n for n in MODEL if n == "defense" or len({row[n] for row in rows}) > 1]
    lines = [(*(row[name] for name in names), *_cells(row)) for row in rows]
    return [Table("Against plain training", (*names, *HEAD), lines)] if lines else []


def _cells(row: dict) -> tuple[str, ...]:
    where = "no attack" if row["norm"] == "clean" else threat_label(row["norm"], row["eps"])
    ends = f"[{points(row['low'])}, {points(row['high'])}]"
    seeds = f"{points(row['least_seed'])} to {points(row['greatest_seed'])}"
    counts = (str(row["n"]), str(row["seeds"]))
    return (row["against"], where, *counts, points(row["difference"]), ends, seeds, row["result"])


def points(value: float) -> str:
    """Write a difference of shares in percentage points, with its sign."""
    return f"{100 * value:+.1f}"
