"""Show a finished study: `python -m gauntlet.reporting.terminal results/studies/quickstart`."""

import shutil
import sys
from pathlib import Path

from gauntlet.core.errors import GauntletError
from gauntlet.core.records import read_json
from gauntlet.reporting import audit_columns, step_tables
from gauntlet.reporting.tables import Table, headline_table, right_aligned, warnings, written


def terminal(summary: str | Path, width: int = 100) -> str:
    """Give a study's short table as plain text that fits the width, with warnings below.

    Where it does not fit, the spread over seeds is left out; then columns go below.
    """
    rows = read_json(summary)["rows"]
    table = headline_table(rows)
    text = plain(table, width)
    if "\n\n" in text:
        text = plain(headline_table(rows, spread=False), width)
    return "\n".join([table.title, "", text, *warnings(rows), *audit_columns.lines(rows)])


def steps(study: Path, width: int = 100) -> list[str]:
    """Give the lines of a study's tables of steps before its models; none without such steps."""
    record = study / "preprocess.json"
    if not record.is_file():
        return []
    rows = read_json(record)["rows"]
    lines = [["", table.title, "", plain(table, width)] for table in step_tables.step_tables(rows)]
    return [*(line for part in lines for line in part), *step_tables.warnings(rows)]


def plain(table: Table, width: int) -> str:
    """Write a table as plain text; columns that do not fit go below, behind the names again."""
    names = [*range(right_aligned(table).index(True))]
    blocks, columns = [], list(names)
    for column in range(len(names), len(table.head)):
        wider = written(table, "simple", [*columns, column])
        if len(columns) > len(names) and len(wider.splitlines()[1]) > width:
            blocks.append(written(table, "simple", columns))
            columns = list(names)
        columns.append(column)
    return "\n\n".join([*blocks, written(table, "simple", columns)])


def places(study: Path) -> list[str]:
    """Say where a study's tables, figures and report lie."""
    page = report_page(study)
    return [
        f"tables   {study}/summary.md, .csv, .tex; every seed: {study}/robustness.csv",
        f"figures  {study / 'figures'}/*.png, *.svg",
        f"report   {page or f'made by: snakemake --cores 1 --report {study}/report.html'}",
    ]


def report_page(study: Path) -> Path | None:
    """Find the report that shows a study: in its own folder, or one of several studies above."""
    shown = f"studies/{study.name}/summary.csv".encode()
    for page in (study / "report.html", study.parent.parent / "report.html"):
        if page.is_file() and shown in page.read_bytes():
            return page
    return None


def main(arguments: list[str]) -> int:
    """Show the named study folders; 1 if one of them is not finished."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")
    width = shutil.get_terminal_size((100, 24)).columns
    try:
        for study in map(Path, arguments):
            summary = study / "summary.json"
            if not summary.is_file():
                raise GauntletError(f"{summary} does not exist; a study is made by snakemake.")
            shown = ["", terminal(summary, width), *steps(study, width), "", *places(study), ""]
            sys.stdout.write("\n".join(shown))
    except GauntletError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
