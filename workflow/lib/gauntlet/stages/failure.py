"""An attack or a model that fails costs its own row: why is written in the place of the result."""

from pathlib import Path

from gauntlet.core.records import write_rows
from gauntlet.core.threat_models import extent
from gauntlet.evaluation import audit_ledger, failures
from gauntlet.evaluation.attack_ledger import WHITE_BOX
from gauntlet.stages.craft import EvalImages
from gauntlet.stages.reasons import reason

VERDICT = "error"  # of a model whose audit failed


def instead_of_ledger(
    error: Exception,
    spec: dict,
    eval_images: EvalImages,
    ledger: str | Path,
    *arrays: str | Path,
    access: str = WHITE_BOX,
) -> str:
    """Write why there is no ledger of the spec's points, and no examples; gives the reason."""
    why = reason(error)
    threats = [extent(point) for point in spec["points"]]
    failures.write_failure(ledger, why, access, threats, len(eval_images.index))
    failures.write_missing(arrays)
    return why


def instead_of_audit(error: Exception, spec: dict, count: int, found: str, examples: str) -> dict:
    """Give the record of an audit of `count` images that failed; write that it found nothing."""
    failures.write_missing([examples])
    write_rows(found, audit_ledger.COLUMNS, [])
    return {
        "norm": spec["norm"],
        "eps": spec["eps"],
        "n": min(spec["images"], count),
        "verdict": VERDICT,
        "reason": reason(error),
        **{name: [] for name in ("failed", "warned", "remedies", "findings")},
    }
