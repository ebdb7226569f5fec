"""A time budget shared out over parts, and the table that stands after every row."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tabulate import tabulate

MEASURED, CUT, SKIPPED, FAILED = "measured", "cut", "skipped", "failed"
RESERVE = 5.0  # seconds kept for the last table


@dataclass
class Row:
    """One line of the table; `ratio` is to bare forward plus backward passes if nothing is said."""

    part: str
    what: str
    value: float | str | None = None
    unit: str = ""
    ratio: float | None = None
    state: str = MEASURED
    note: str = ""


COLUMNS = tuple(Row("", "").__dict__)


@dataclass(frozen=True)
class Part:
    """One part of the check: its weight in what time is left, and the least it can use."""

    name: str
    weight: float
    least: float  # seconds


class Budget:
    """Seconds from now on; each part may use its share of what is left when it begins."""

    def __init__(self, seconds: float, parts: Iterable[Part], clock=time.monotonic):
        self.parts, self.clock = list(parts), clock
        self.end = clock() + seconds

    def left(self) -> float:
        """Give the seconds that are left, without the reserve."""
        return self.end - RESERVE - self.clock()

    def allowed(self, part: Part) -> float:
        """Give the seconds of a part that begins now: what parts before it left over counts too."""
        later = self.parts[self.parts.index(part) :]
        return self.left() * part.weight / sum(each.weight for each in later)


class Table:
    """Rows that are on the disk after each one: table.json and table.md in a folder."""

    def __init__(self, folder: Path, head: str):
        self.folder, self.head, self.rows = folder, head, []
        self.machine: dict[str, str] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, row: Row) -> None:
        """Add a row and write the table."""
        self.rows.append(row)
        self.write()

    def write(self) -> None:
        """Write the table in both forms; each file is complete or as it was before."""
        record = {"machine": self.machine, "rows": [asdict(row) for row in self.rows]}
        self._write("table.json", json.dumps(record, indent=2) + "\n")
        self._write("table.md", self.text())

    def text(self) -> str:
        """Give the table as Markdown."""
        cells = [[_shown(value) for value in asdict(row).values()] for row in self.rows]
        named = "\n".join(f"- {key}: {value}" for key, value in self.machine.items())
        body = tabulate(cells, COLUMNS, "pipe", disable_numparse=True)
        return f"# {self.head}\n\n{named}\n\n{body}\n"

    def _write(self, name: str, text: str) -> None:
        fresh = self.folder / f".{name}.new"
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(self.folder / name)


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
    return "" if value is None else str(value)


def run_parts(budget: Budget, table: Table, start: Callable[[Part, float], Iterator[Row]]) -> None:
    """Run all parts in their order; one that cannot begin, fails or is cut is a row.

    `start(part, seconds)` gives a part's rows as they come; TimeoutError is a part that was cut.
    """
    for part in budget.parts:
        allowed = budget.allowed(part)
        if allowed < part.least:
            note = f"{max(allowed, 0):.0f} s are left for it; it needs {part.least:.0f}"
            table.add(Row(part.name, "all of it", state=SKIPPED, note=note))
            continue
        began = budget.clock()
        try:
            for row in start(part, allowed):
                table.add(row)
        except TimeoutError:
            note = f"it was ended after its {allowed:.0f} s"
            table.add(Row(part.name, "the rest", state=CUT, note=note))
        except Exception as error:
            note = f"{type(error).__name__}: {str(error)[:300]}"
            table.add(Row(part.name, "the rest", state=FAILED, note=" ".join(note.split())))
        table.add(Row(part.name, "time of this part", round(budget.clock() - began, 1), "s"))
