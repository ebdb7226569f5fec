"""Results of the library as text: one table that fits a terminal, and sentences below it."""

import io
from collections.abc import Sequence
from typing import Any

WIDTH = 120  # characters of a line
HEADS = {
    "clean_accuracy": "clean %",
    "robust_accuracy": "robust %",
    "certified_accuracy": "certified %",
    "mean_forwards": "forwards",
    "mean_backwards": "backwards",
}
RANGES = {"robust_accuracy": "robust", "certified_accuracy": "certified"}
TEXTS = (str, type(None))


def text(title: str, rows: Sequence[dict[str, Any]], notes: Sequence[str] = ()) -> str:
    """Write rows as an aligned table; accuracies in percent, with their 95 % interval."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="", box=box.ASCII2)
    hidden = {f"{name}_{end}" for name in RANGES.values() for end in ("low", "high")}
    names = [name for name in rows[0] if name not in hidden] if rows else []
    for name in names:
        left = all(isinstance(row[name], TEXTS) for row in rows)
        justify = "left" if left else "right"
        table.add_column(HEADS.get(name, name), justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(name, row) for name in names))
    plain = {"color_system": None, "markup": False, "emoji": False, "force_jupyter": False}
    console = Console(file=io.StringIO(), width=WIDTH, **plain)
    console.print(table, highlight=False)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    return "\n".join([*lines, *notes])


def _cell(name: str, row: dict[str, Any]) -> str:
    value = row[name]
    if value is None or value != value:
        return "-"
    if name.endswith("_accuracy"):
        return f"{100 * value:.1f}{_interval(RANGES.get(name), row)}"
    if name.startswith("mean_"):
        return f"{value:.1f}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _interval(name: str | None, row: dict[str, Any]) -> str:
    if name is None or row.get(f"{name}_low") is None:
        return ""
    return f" [{100 * row[f'{name}_low']:.1f}, {100 * row[f'{name}_high']:.1f}]"
