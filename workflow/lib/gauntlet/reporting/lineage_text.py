"""How a result came about, as plain text."""

from collections import Counter
from typing import Any

# What a record holds besides what is written of its own; the rest is shown as it is.
WRITTEN = {"inputs", "outputs", "rule", "spec", "code", "versions", "hardware"}
WRITTEN |= {"seconds", "cpu_seconds", "peak_rss_mb"}
DIGITS = 12  # of a sha256


def lineage_lines(
    path: str,
    record_path: str,
    record: dict[str, Any],
    intact: bool,
    command: str,
) -> list[str]:
    """Say of one file by which job, from what and by what it was made."""
    spent = f"{record['seconds']} s, {record['cpu_seconds']} s of CPU, {record['peak_rss_mb']} MB"
    state = "as it was written" if intact else "NOT what was written (truncated or changed since)"
    rows = [
        ("content", state),
        ("made by", f"rule {record['rule']} in {spent}"),
        ("code", record["code"]),
        *((key.replace("_", " "), _flat(record[key])) for key in sorted(set(record) - WRITTEN)),
        ("versions", _flat(record["versions"])),
        ("hardware", _flat(record["hardware"])),
        ("record", record_path),
        ("again by", command),
    ]
    lines = [path, *(f"  {name:<9} {value}" for name, value in rows), "  spec"]
    lines += [f"    {line}" for line in _nested(record["spec"])]
    return [*lines, *input_lines(record["inputs"])]


def input_lines(inputs: dict[str, str]) -> list[str]:
    """List a job's inputs with the beginning of their sha256."""
    rows = [f"    {digest[:DIGITS]}  {name}" for name, digest in inputs.items()]
    return [f"  inputs ({len(inputs)})", *rows]


def before_lines(steps: list[tuple[str, str, dict[str, Any]]], whole: bool) -> list[str]:
    """Say which jobs led there, as (record's path, rule, record): by rule, or each."""
    if not steps:
        return []
    lines = [f"Before it: {len(steps)} jobs"]
    if whole:
        return lines + [
            f"  {rule:<20} {path}  code {record['code']}, {record['seconds']} s"
            for path, rule, record in steps
        ]
    counts = Counter(rule for _, rule, _ in steps)
    return lines + [f"  {count:>4} {rule}" for rule, count in counts.items()]


def source_lines(sources: list[tuple[str, str]]) -> list[str]:
    """List the files that no job has made."""
    return ["Sources:", *(f"  {digest[:DIGITS]}  {name}" for name, digest in sources)] * bool(
        sources
    )


def row_lines(number: int, row: dict[str, str]) -> list[str]:
    """Show one row of a table, the fields that have a value."""
    width = max(map(len, row))
    filled = [f"  {name:<{width}}  {value}" for name, value in row.items() if value != ""]
    return [f"Row {number}", *filled]


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_flat(one)}" for key, one in value.items())
    return ", ".join(map(_flat, value)) if isinstance(value, list) else str(value)


def _nested(value: Any) -> list[str]:
    """Write settings one a line, as `model.channels: 4, 8`."""
    if not isinstance(value, dict):
        return [_flat(value)]
    lines = []
    for key, one in value.items():
        if isinstance(one, dict) and one:
            lines += [f"{key}.{line}" for line in _nested(one)]
        else:
            lines.append(f"{key}: {_flat(one)}")
    return lines
