"""What sentences below figures are made from: each defense's accuracies, warnings and passes."""

from collections.abc import Mapping, Sequence

from gauntlet.reporting.figures.values import clean_value, split, strongest, value
from gauntlet.reporting.findings import Standing
from gauntlet.reporting.training_costs import Cost


def standings(
    rows: Sequence[dict], threat: tuple[str, str], costs: Mapping[str, Cost] | None = None
) -> dict[str, Standing]:
    """Join the seeds of each defense of one data set and model, at a (norm, eps)."""
    found = {}
    for defense, own in split(rows, "defense").items():
        robust = value(strongest(own, threat))
        if robust is None:
            continue
        warnings = tuple(dict.fromkeys(row["warning"] for row in own if row.get("warning")))
        passes = costs[defense].passes if costs and defense in costs else None
        found[defense] = Standing(clean_value(own).mean, robust.mean, warnings, passes)
    return found
