"""Publish the table of a study's steps before its models: clean, naive and adaptive accuracy."""

from gauntlet.runtime.job import run_here


def publish_preprocess(
    naive: list[str], adaptive: list[str], rows: str, table: str, page: str, *, spec: dict
) -> None:
    """Write all rows for programs (JSON, CSV) and the table joined over seeds for readers.

    `naive` and `adaptive` are the ledgers of the steps in spec["rows"], in that order. Raises
    GauntletError if an adaptive accuracy is above its naive one.
    """
    from pathlib import Path

    from gauntlet.core.records import write_json, write_rows
    from gauntlet.evaluation import step_ledger
    from gauntlet.reporting import step_tables, tables

    found = []
    for names, blind, through in zip(spec["rows"], naive, adaptive, strict=True):
        ledgers = [step_ledger.read_step_ledger(path) for path in (blind, through)]
        for norm, eps in spec["threats"]:
            row = names | step_ledger.measure_step(*ledgers, norm, eps)
            step_ledger.require_order(row)
            found.append(row)
    write_json(rows, {"study": spec["study"], "rows": found}, sort=False)
    write_rows(table, step_ledger.COLUMNS, found)
    notes = [*step_tables.warnings(found), *step_tables.NOTES]
    parts = step_tables.step_tables(found)
    title = f"{spec['study']}: steps before models"
    Path(page).write_text(tables.markdown(title, parts, notes), encoding="utf-8")


if __name__ == "__main__":
    run_here(publish_preprocess, snakemake)
