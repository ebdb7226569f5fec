"""The gate: what was required of the models, against what was measured. NumPy only."""

import math
from collections.abc import Iterator, Sequence

from gauntlet.evaluation.attack_ledger import WHITE_BOX

NAMES = ("dataset", "model", "defense", "seed")
ACCEPTED = {"no_fail": ("pass", "warn"), "no_warn": ("pass",)}
CERTIFIED = "certified_accuracy"


def judge(demands: Sequence[dict], rows: Sequence[dict]) -> list[dict]:
    """Hold each demand against the rows of the robustness table (as texts): a verdict each.

    A verdict has the model's names, `requirement`, `measure`, `required`, `measured` (None where
    nothing was measured), `where`, and `met`.
    """
    return [verdict for demand in demands for verdict in _judged(demand, rows)]


def _judged(demand: dict, rows: Sequence[dict]) -> Iterator[dict]:
    mine = [row for row in rows if all(row[name] == str(demand[name]) for name in NAMES)]
    told = {name: demand[name] for name in NAMES} | {"requirement": demand["name"]}
    if "clean" in demand:
        yield told | _least("clean", demand["clean"], _numbers(mine, "clean_accuracy"))
    at = [row for row in mine if row["access"] == WHITE_BOX and _meant(row, demand["threats"])]
    for measure, column in (("robust", "robust_accuracy"), ("certified", CERTIFIED)):
        if measure in demand:
            yield told | _least(measure, demand[measure], _numbers(at, column))
    if "audit" in demand:
        word = next((row.get("audit", "") for row in mine), "")
        met = word.partition(" ")[0] in ACCEPTED[demand["audit"]]
        measured = {"measured": word or None, "where": "", "met": met}
        yield told | {"measure": "audit", "required": demand["audit"]} | measured


def _meant(row: dict, threats: Sequence[Sequence]) -> bool:
    return any(
        row["norm"] == norm and math.isclose(float(row["eps"]), eps, rel_tol=1e-6)
        for norm, eps in threats
    )


def _numbers(rows: Sequence[dict], column: str) -> list[tuple[float, str]]:
    return [
        (float(row[column]), f"{row['attack']}, {row['norm']} {float(row['eps']):.4g}")
        for row in rows
        if row.get(column)
    ]


def _least(measure: str, required: float, found: list[tuple[float, str]]) -> dict:
    measured, where = min(found, default=(None, ""))
    place = "" if measure == "clean" else where
    met = measured is not None and measured >= required
    told = {"measure": measure, "required": required, "measured": measured}
    return told | {"where": place, "met": met}


def shortfalls(verdicts: Sequence[dict]) -> list[str]:
    """Say of each demand that is not met what falls short, in one sentence."""
    return [_sentence(verdict) for verdict in verdicts if not verdict["met"]]


def _sentence(verdict: dict) -> str:
    model = "/".join(str(verdict[name]) for name in NAMES[:3]) + f" seed {verdict['seed']}"
    what = verdict["measure"] if verdict["measure"] == "audit" else f"{verdict['measure']} accuracy"
    measured, where = _shown(verdict["measured"]), verdict["where"]
    place = f" ({where})" if where else ""
    return (
        f"requirements.{verdict['requirement']}: {model} has {what} {measured}{place}; required is "
        f"{_shown(verdict['required'])}."
    )


def _shown(value: float | str | None) -> str:
    if value is None:
        return "not measured"
    return value if isinstance(value, str) else f"{100 * value:.1f} %"


def page(study: str, verdicts: Sequence[dict]) -> str:
    """Write the gate's verdicts in Markdown."""
    short = shortfalls(verdicts)
    result = f"closed, {len(short)} of {len(verdicts)} fall short" if short else "open"
    lines = [f"# Gate of {study}: {result}", "", *(f"- {text}" for text in short)]
    lines += [""] if short else []
    lines += ["| requirement | model | measure | required | measured | at | met |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for verdict in verdicts:
        model = "/".join(str(verdict[name]) for name in NAMES)
        cells = (verdict["requirement"], model, verdict["measure"], _shown(verdict["required"]))
        cells += (_shown(verdict["measured"]), verdict["where"], "yes" if verdict["met"] else "NO")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
