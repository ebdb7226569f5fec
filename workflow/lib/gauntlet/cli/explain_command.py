"""`gauntlet explain RESULT`: how a file, or a row of a table, came about."""

import csv
import re
import shlex
from pathlib import Path
from typing import Annotated

import typer

from gauntlet.cli.errors import UsageMistake
from gauntlet.core.errors import GauntletError
from gauntlet.core.locations import workflow_home

RUN_KEYS = ("dataset", "model", "defense")
OWN = "self"  # the source of an attack that was made against the model itself


def explain(
    result: Annotated[
        str, typer.Argument(help="A file of a run, or a table's row as FILE.csv:NUMBER.")
    ],
    whole: Annotated[bool, typer.Option("--all", help="Name each job that led there.")] = False,
) -> None:
    """Say how a result came about: settings, code, inputs, versions, hardware, seconds, command.

    Example: gauntlet explain results/studies/quickstart/robustness.csv:3
    """
    found = re.fullmatch(r"(.+):(\d+)", result)
    path, number = (Path(found[1]), int(found[2])) if found else (Path(result), None)
    if not path.is_file():
        raise UsageMistake(f"The result '{path}' does not exist; allowed is a file of a run.")
    if number is None:
        _explain_file(path, whole)
    else:
        _explain_row(path, number, whole)


def _explain_file(path: Path, whole: bool) -> None:
    from gauntlet.reporting import lineage_text
    from gauntlet.runtime.lineage import sources, trace

    found = trace(path)
    made = found.made_by
    target = found.path if found.path in made.outputs else made.outputs[0]
    lines = lineage_text.lineage_lines(
        found.path, made.record_path, made.record, found.intact, again(found.root, target)
    )
    steps = [(step.record_path, step.record["rule"], step.record) for step in found.before]
    lines += lineage_text.before_lines(steps, whole)
    typer.echo("\n".join([*lines, *lineage_text.source_lines(sources(found))]))


def again(root: Path, path: str) -> str:
    """Give the command that makes a file again; no record holds the --configfile of a run."""
    home = workflow_home()
    words = ["snakemake", "--cores", "all", "--force", path]
    words += [] if home == root else ["--snakefile", str(home / "Snakefile")]
    words += [] if root == Path.cwd() else ["--directory", str(root)]
    return f"{shlex.join(words)}  (and the --configfile of its study, if it has one)"


def _explain_row(path: Path, number: int, whole: bool) -> None:
    """Show a row, then the ledgers that its number was read from, and the model's training."""
    from gauntlet.reporting.lineage_text import row_lines

    row = _row(path, number)
    typer.echo("\n".join(row_lines(number, row)))
    files = row_files(path, row)
    if not files:
        raise GauntletError(f"{path} names no run in row {number}; explain the file as a whole.")
    for file in files:
        typer.echo("")
        _explain_file(file, whole)


def _row(path: Path, number: int) -> dict[str, str]:
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
    except (UnicodeDecodeError, csv.Error):
        raise UsageMistake(f"{path} is no table; allowed is a CSV file before the colon.") from None
    if any(None in row or None in row.values() for row in rows):
        raise UsageMistake(f"{path} is no table; its rows are of different lengths.")
    if not 1 <= number <= len(rows):
        raise UsageMistake(f"{path} has {len(rows)} rows; row {number} is not one of them.")
    return rows[number - 1]


def _step_ledgers(table: Path, run: Path, step: str) -> list[Path]:
    """Give the two ledgers of a step before a model, of a row of a study's preprocess.csv."""
    names = Path(*run.parts[-4:])
    folder = table.resolve().parent / "preprocess" / names / step
    ledgers = (folder / "naive.csv", folder / "adaptive.csv")
    return [ledger for ledger in ledgers if ledger.is_file()]


def row_files(path: Path, row: dict[str, str]) -> list[Path]:
    """Find what a row was made from: for each seed its ledger and the training."""
    if any(not row.get(key) for key in RUN_KEYS):
        return []
    results = next((up for up in path.resolve().parents if up.name == "results"), None)
    if results is None:
        return []
    seed = f"seed{row['seed']}" if row.get("seed") else "seed*"
    runs = sorted(results.joinpath("runs", *(row[key] for key in RUN_KEYS)).glob(seed))
    source, attack = row.get("source", OWN), row.get("attack", "")
    found = []
    for run in runs:
        ledger = run / "attacks" / attack / "test" / "ledger.csv"
        if source not in ("", OWN):
            ledger = run / "transfer" / source / attack / "ledger.csv"
        if row.get("preprocess"):
            found += _step_ledgers(path, run, row["preprocess"])
        if row.get("certificate"):
            ledger = run / "certificates" / row["certificate"] / "test" / "ledger.csv"
        training = run / "train.provenance.json"
        found += [file for file in (ledger, training) if file.is_file()]
    return [
        Path(file).relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
        for file in found
    ]
