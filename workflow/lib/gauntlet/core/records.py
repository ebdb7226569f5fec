"""Records in JSON and tables in CSV, and the names of a run. Standard library only."""

import csv
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from gauntlet.core.errors import GauntletError

FOLDER = re.compile(r"(?:^|/)runs/([^/]+)/([^/]+)/([^/]+)/seed(\d+)/")


class Run(NamedTuple):
    """The names of one model: trained on a data set, with a defense and a seed."""

    dataset: str
    model: str
    defense: str
    seed: int | str  # a text where it was read from a path or a table


RUN_NAMES = Run._fields


def run_of(path: str | Path) -> Run:
    """Read the run of a file below results/runs/ from its path; all names are texts."""
    match = FOLDER.search(Path(path).as_posix())
    if match is None:
        raise GauntletError(f"{path} must lie under runs/<dataset>/<model>/<defense>/seed<seed>/.")
    return Run(*match.groups())


def write_json(path: str | Path, record: dict, sort: bool = True) -> None:
    """Write a record with indents; `sort` puts the keys of every mapping in alphabetical order."""
    text = json.dumps(record, indent=2, sort_keys=sort, ensure_ascii=False)
    Path(path).write_text(text + "\n", encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """Read a record; GauntletError if the file is not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise GauntletError(f"{path} is no readable JSON file ({first_line(error)}).") from error


def read_or_empty(path: Path) -> dict[str, Any]:
    """Read a record that may be missing or damaged: it is then an empty one."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def read_rows(path: str | Path) -> list[dict[str, str]]:
    """Read a CSV table as texts; GauntletError if a row is longer or shorter than the head."""
    with open(path, newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    if any(None in row or None in row.values() for row in rows):
        raise GauntletError(f"{path} is no table: a row has more or fewer fields than the head.")
    return rows


def write_rows(path: str | Path, columns: Iterable[str], rows: Iterable[dict]) -> None:
    """Write a CSV table of the named columns; None becomes an empty field.

    Floats are written as their shortest exact text.
    """
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def first_line(error: Exception) -> str:
    """Give the first line of an error's message, or its class where it has none."""
    return str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
