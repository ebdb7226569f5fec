"""How the summary's tables show what audits found."""

from collections.abc import Sequence

from gauntlet.evaluation.attack_ledger import RERUN
from gauntlet.evaluation.audit_ledger import AUDIT
from gauntlet.evaluation.metrics import WORST
from gauntlet.evaluation.summary import MODEL
from gauntlet.reporting.cells import audits_text

MARK = " †"  # after a number that a rerun or a check of the audit lowered
VERDICTS = ("error", "fail", "warn", "pass")  # worst first; error: the audit itself failed
NOTE = (
    "Audit: the worst verdict of any seed on whether these numbers can be believed; evidence and "
    "advice are in each model's audit.md. † lowered by what the audit's checks broke, or by the "
    "rerun, an attack that goes around the masked gradients that the audit found."
)


def verdict(rows: Sequence[dict]) -> str:
    """Give the worst verdict in a model's rows, or – where there is none."""
    found = {audit["value"]["verdict"] for row in rows for audit in row.get("audits", ())}
    return next((name for name in VERDICTS if name in found), "–")


def mark(row: dict) -> str:
    """Give the mark of a worst case that a rerun or an audit's check lowered."""
    names = row["success_by"] if row.get("attack") == WORST else ()
    return MARK if any(name == RERUN or name.startswith(f"{AUDIT} ") for name in names) else ""


def audited(rows: Sequence[dict]) -> bool:
    """Tell whether any of the models was audited."""
    return any(row.get("audits") for row in rows)


def lines(rows: Sequence[dict]) -> list[str]:
    """Write, in a line a model, what its audits found beside passes, and what the words mean."""
    if not audited(rows):
        return []
    found = {
        f"Audit of {'/'.join(row[name] for name in MODEL)}: {audits_text(row['audits'])}": None
        for row in rows
        if any(audit["value"]["verdict"] != VERDICTS[-1] for audit in row["audits"])
    }
    return [*found, NOTE]
