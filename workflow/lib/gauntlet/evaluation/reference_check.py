"""A finished study held against the results that are kept of it, row by row. Standard library."""

from collections.abc import Sequence
from pathlib import Path

from gauntlet.core.errors import GauntletError
from gauntlet.core.records import read_rows
from gauntlet.evaluation.summary import GROUP

SAME, INSIDE, OUTSIDE = "same", "inside", "outside"
MISSING, OTHER = "missing", "not comparable"
FAILING = (OUTSIDE, MISSING, OTHER)
MEASURES = ("clean", "robust", "certified")
SIZES = ("n", "seeds")


def read_kept(path: str | Path) -> list[dict]:
    """Read a kept summary.csv; GauntletError if it lacks a column that is compared."""
    rows = read_rows(path)
    ends = [f"{name}_{end}" for name in ("clean", "robust") for end in ("mean", "low", "high")]
    missing = [name for name in (*GROUP, *SIZES, *ends) if rows and name not in rows[0]]
    if missing or not rows:
        what = f"lacks the column {missing[0]}" if missing else "has no row"
        raise GauntletError(f"{path} {what} of a study's summary; keep the study again.")
    return rows


def hold(rows: Sequence[dict], kept: Sequence[dict]) -> list[dict]:
    """Compare a study's summary with the kept one: a verdict for each kept row.

    Both are rows of summary.csv as texts. A row is `same` where all accuracies are equal to the
    last digit, `inside` where each lies in the kept one's 95 % interval, `outside` where one does
    not, `missing` where the study has no such row, and `not comparable` where it has other images
    or seeds in number. `why` says of what fails what it is.
    """
    found = {_key(row): row for row in rows}
    return [
        {name: row[name] for name in GROUP} | _verdict(found.get(_key(row)), row) for row in kept
    ]


def _key(row: dict) -> tuple:
    return tuple(row[name] for name in GROUP)


def _verdict(own: dict | None, kept: dict) -> dict:
    """Give status, reason and accuracies, kept and measured, of one row."""
    values = {f"kept_{name}": kept.get(f"{name}_mean", "") for name in MEASURES}
    if own is None:
        return values | {"status": MISSING, "why": "the study has no such row"}
    values |= {f"found_{name}": own.get(f"{name}_mean", "") for name in MEASURES}
    sizes = [
        f"{name} is {own[name]}, not {kept[name]}" for name in SIZES if own[name] != kept[name]
    ]
    if sizes:
        return values | {"status": OTHER, "why": "; ".join(sizes)}
    if all(own.get(f"{name}_mean", "") == kept.get(f"{name}_mean", "") for name in MEASURES):
        return values | {"status": SAME, "why": ""}
    problems = list(filter(None, (_problem(own, kept, name) for name in MEASURES)))
    return values | {"status": OUTSIDE if problems else INSIDE, "why": "; ".join(problems)}


def _problem(own: dict, kept: dict, name: str) -> str:
    """Say how one accuracy lies outside the kept one's interval; empty if it does not."""
    mine, theirs = own.get(f"{name}_mean", ""), kept.get(f"{name}_mean", "")
    if theirs == "":
        return ""  # nothing was kept of it
    if mine == "":
        return f"{name} accuracy was not measured"
    low, high = (float(kept[f"{name}_{end}"]) for end in ("low", "high"))
    if low <= float(mine) <= high:
        return ""
    return f"{name} accuracy {float(mine):.4f} is outside [{low:.4f}, {high:.4f}]"
