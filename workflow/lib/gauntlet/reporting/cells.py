"""How tables write what is no number: successes by attack, audits, warnings."""

from collections.abc import Mapping, Sequence


def success_text(counts: Mapping[str, int]) -> str:
    """Write on how many images each attack succeeded: `apgd_ce 120; square 7`."""
    return "; ".join(f"{name} {count}" for name, count in counts.items())


def audit_text(audit: Mapping | None) -> str:
    """Write an audit's result: `pass`, `warn (a, b)`, `fail (a; warn b)`; empty without one.

    Of an audit that itself failed it is `error (why)`.
    """
    if not audit:
        return ""
    if "reason" in audit:
        return f"{audit['verdict']} ({audit['reason']})"
    failed, warned = ", ".join(audit["failed"]), ", ".join(audit["warned"])
    if failed:
        return f"fail ({failed}; warn {warned})" if warned else f"fail ({failed})"
    return f"warn ({warned})" if warned else "pass"


def audits_text(audits: Sequence[Mapping]) -> str:
    """Write the audits of several seeds, each with its seeds."""
    return _by_seed(audits, audit_text)


def warnings_text(warnings: Sequence[Mapping]) -> str:
    """Write the warnings of several seeds, each list with its seeds."""
    return _by_seed(warnings, "; ".join)


def _by_seed(found: Sequence[Mapping], text) -> str:
    parts = (f"seed {', '.join(map(str, one['seeds']))}: {text(one['value'])}" for one in found)
    return "; ".join(parts)


def robustness_cells(row: Mapping) -> dict:
    """Give a measured row as the robustness table shows it."""
    aside = ("failed", "found", "precision", "warnings")
    kept = {name: value for name, value in row.items() if name not in aside}
    return kept | {
        "success_by": success_text(row["success_by"]),
        "audit": audit_text(row["audit"]),
        "warning": "; ".join(row["warnings"]),
    }


def summary_cells(row: Mapping) -> dict:
    """Give a row over all seeds as the summary table shows it."""
    aside = ("audits", "found", "precision", "warnings")
    kept = {name: value for name, value in row.items() if name not in aside}
    return kept | {
        "success_by": success_text(row["success_by"]),
        "audit": audits_text(row["audits"]),
        "warning": warnings_text(row["warnings"]),
    }
