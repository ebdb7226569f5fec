"""Publish a study's summary for programs (JSON, CSV), for readers (Markdown) and for LaTeX."""

from gauntlet.runtime.job import run_here


def publish_tables(
    rows: str,
    provenances: list[str],
    trains: list[str],
    records: list[str],
    summary: str,
    summary_csv: str,
    summary_md: str,
    summary_tex: str,
    timings: str,
    certificates: str,
    comparisons: str,
    *,
    spec: dict,
) -> None:
    """Join seeds and write the tables; `summary` is the record that they are made from.

    `rows` is the record of all models, `provenances` and `trains` are the records of the trainings.
    Their seconds differ from run to run, so they are in `timings` and in the tables for readers,
    never in `summary_csv`. `records` are the evaluations', which hold what certificates prove, and
    for each image what withstood. spec["baseline"] is what the others are compared with, if given.
    """
    from pathlib import Path

    from gauntlet.core.records import read_json, write_json, write_rows
    from gauntlet.evaluation import certified_accuracy, paired
    from gauntlet.evaluation.summary import COLUMNS, summarize
    from gauntlet.reporting import certificate_tables, summary_page, tables, training_costs
    from gauntlet.reporting.cells import summary_cells

    joined = summarize(read_json(rows)["rows"])
    write_json(summary, {"study": spec["study"], "rows": joined}, sort=False)
    write_rows(summary_csv, COLUMNS, map(summary_cells, joined))

    spent = training_costs.rows_of(provenances, trains, spec["passes"])
    write_rows(timings, training_costs.COLUMNS, spent)

    measured = list(map(read_json, records))
    proven = certificate_tables.rows_of(measured)
    write_rows(certificates, certified_accuracy.COLUMNS, proven)
    compared = paired.comparisons(measured, spec["baseline"])
    write_rows(comparisons, paired.COLUMNS, compared)

    parts, notes = summary_page.parts(joined, spent, proven, compared)
    Path(summary_md).write_text(tables.markdown(spec["study"], parts, notes), encoding="utf-8")
    Path(summary_tex).write_text(tables.latex(spec["study"], parts, notes), encoding="utf-8")


if __name__ == "__main__":
    run_here(publish_tables, snakemake)
