"""The gate: what was required of the models, against what was measured. NumPy only."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gauntlet.core.records import RUN_NAMES
from gauntlet.evaluation.attack_ledger import WHITE_BOX

ACCEPTED = {"no_fail": ("pass", "warn"), "no_warn": ("pass",)}
COLUMN = {"robust": "robust_accuracy", "certified": "certified_accuracy"}


@dataclass(frozen=True)
class Verdict:
    """One requirement of one model.

    `measured` is an accuracy, an audit's result (verdict, failed, warned), or None where nothing
    was measured; `where` is the row (attack, norm, eps) with the lowest accuracy, if it counts.
    """

    dataset: str
    model: str
    defense: str
    seed: int
    requirement: str
    measure: str
    required: float | str
    measured: float | dict | None
    where: dict | None
    met: bool


def judge(demands: Sequence[dict], rows: Sequence[dict]) -> list[Verdict]:
    """Hold each demand against the rows of the models' records: one verdict per measure."""
    return [verdict for demand in demands for verdict in _judged(demand, rows)]


def _judged(demand: dict, rows: Sequence[dict]) -> Iterator[Verdict]:
    own = [row for row in rows if all(str(row[name]) == str(demand[name]) for name in RUN_NAMES)]
    names = {name: demand[name] for name in RUN_NAMES} | {"requirement": demand["name"]}
    if "clean" in demand:
        lowest = _lowest(own, "clean_accuracy") | {"where": None}
        yield _verdict(names, "clean", demand["clean"], lowest)
    there = [row for row in own if row["access"] == WHITE_BOX and _meant(row, demand["threats"])]
    for measure, column in COLUMN.items():
        if measure in demand:
            yield _verdict(names, measure, demand[measure], _lowest(there, column))
    if "audit" in demand:
        audit = next((row.get("audit") for row in own), None)
        met = bool(audit) and audit["verdict"] in ACCEPTED[demand["audit"]]
        found = {"measured": audit, "where": None, "met": met}
        yield Verdict(**names, measure="audit", required=demand["audit"], **found)


def _meant(row: dict, threats: Sequence[Sequence]) -> bool:
    return any(
        row["norm"] == norm and math.isclose(float(row["eps"]), eps, rel_tol=1e-6)
        for norm, eps in threats
    )


def _lowest(rows: Sequence[dict], column: str) -> dict:
    """Give the lowest accuracy of a column, and the row that has it.

    Robust accuracy counts as not measured where an attack failed: what is left may be too high.
    """
    known = [row for row in rows if row.get(column) is not None]
    if not known or (column == COLUMN["robust"] and any(row.get("failed") for row in rows)):
        return {"measured": None, "where": None}
    low = min(known, key=lambda row: (row[column], row["attack"], row["norm"], row["eps"]))
    return {"measured": low[column], "where": {k: low[k] for k in ("attack", "norm", "eps")}}


def _verdict(names: dict, measure: str, required: float, lowest: dict) -> Verdict:
    met = lowest["measured"] is not None and lowest["measured"] >= required
    return Verdict(**names, measure=measure, required=required, met=met, **lowest)
