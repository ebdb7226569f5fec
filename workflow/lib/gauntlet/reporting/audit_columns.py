"""How tables show what audits found."""

from collections.abc import Sequence

from gauntlet.evaluation.attack_ledger import RERUN
from gauntlet.evaluation.metrics import WORST
from gauntlet.evaluation.summary import GROUP

MARK = " †"  # after a number that a rerun lowered
WORDS = ("fail", "warn", "pass")  # worst first
NOTE = (
    "Audit: the worst verdict of any seed on whether these numbers can be believed; evidence and "
    "advice are in each model's audit.md. † lowered by the rerun, an attack that goes around the "
    "masked gradients that the audit found."
)


def word(rows: Sequence[dict]) -> str:
    """Give the worst verdict in a model's rows: fail, warn, pass, or – where there is none."""
    told = next((row["audit"] for row in rows if row.get("audit")), "")
    found = [part.partition(": ")[2] for part in told.split("; ") if part.startswith("seed ")]
    return next((name for name in WORDS if any(f.startswith(name) for f in found)), "–")


def mark(row: dict) -> str:
    """Give the mark of a worst case in which a rerun felled images that no other attack did."""
    felled = [share.rpartition(" ")[0] for share in str(row.get("success_by", "")).split("; ")]
    return MARK if row.get("attack") == WORST and RERUN in felled else ""


def audited(rows: Sequence[dict]) -> bool:
    """Tell whether any of the models was audited."""
    return any(row.get("audit") for row in rows)


def lines(rows: Sequence[dict]) -> list[str]:
    """Say, in a line a model, what its audits found beside passes, and what the words mean."""
    told = {
        f"Audit of {'/'.join(row[name] for name in GROUP[:3])}: {row['audit']}": None
        for row in rows
        if row.get("audit") and any(bad in row["audit"] for bad in WORDS[:2])
    }
    return [*told, NOTE] if audited(rows) else []
