"""What is known of a model at a threat model: at least certified, at most robust accuracy."""

from collections.abc import Iterable, Sequence

from gauntlet.evaluation.attack_ledger import SELF, WHITE_BOX
from gauntlet.reporting.formatting import percent, threat_label

Threat = tuple[str, float]


def interval_threats(rows: Iterable[dict]) -> list[Threat]:
    """List the (norm, eps) at which some white-box row of a summary has a certified accuracy."""
    found = {_threat(row): None for row in rows if row["source"] == SELF and is_certified(row)}
    return list(found)


def interval_heads(threats: Sequence[Threat]) -> list[str]:
    """Name the columns of intervals."""
    return [f"[certified, robust] {threat_label(*threat)}" for threat in threats]


def interval_cells(rows: Sequence[dict], threats: Sequence[Threat]) -> list[str]:
    """Write a model's intervals; the upper end is the lowest of all white-box attacks."""
    cells = []
    for threat in threats:
        mine = [r for r in rows if r["access"] == WHITE_BOX and _threat(r) == threat]
        low = [row["certified_mean"] for row in mine if is_certified(row)]
        high = [float(row["robust_mean"]) for row in mine if row["robust_mean"] not in ("", None)]
        known = f"[{percent(low[0])}, {percent(min(high))}]" if low and high else "–"
        cells.append(known)
    return cells


def is_certified(row: dict) -> bool:
    """Tell whether a summary's row has a certified accuracy."""
    return row.get("certified_mean") not in ("", None)


def _threat(row: dict) -> Threat:
    return row["norm"], float(row["eps"])
