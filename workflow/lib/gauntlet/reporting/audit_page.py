"""A model's audit as a page in Markdown."""

from collections.abc import Sequence


def page(name: str, record: dict) -> str:
    """Write an audit in Markdown; of one that failed, why."""
    if "reason" in record:
        return f"# Audit of {name}: {record['verdict']}\n\nThe audit failed: {record['reason']}\n"
    head = (
        f"# Audit of {name}: {record['verdict']}\n\n"
        f"{record['norm']} eps {record['eps']:.4g}, n = {record['n']} test images; clean accuracy "
        f"{record['clean_accuracy']:.1%}, under gradient attacks "
        f"{record['accuracy_under_gradients']:.1%}, under all checks "
        f"{record['accuracy_under_all_checks']:.1%}.\n\n"
        "| check | verdict | evidence | meaning | advice |\n|---|---|---|---|---|\n"
    )
    return head + "".join(map(_line, record["findings"])) + _rerun_note(record["remedies"])


def _line(finding: dict) -> str:
    evidence = ", ".join(
        f"{name.replace('_', ' ')} {_number(value)}" for name, value in finding["evidence"].items()
    )
    cells = (finding["check"], finding["verdict"], evidence, finding["meaning"], finding["advice"])
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |\n"


def _number(value: float | int | str | None) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "–" if value in ("", None) else str(value)


def _rerun_note(found: Sequence[str]) -> str:
    if not found:
        return ""
    return f"\nThe model is attacked again in these ways: {', '.join(found)}.\n"
