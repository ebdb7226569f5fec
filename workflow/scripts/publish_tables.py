"""Publish a study's summary for programs (JSON, CSV), for readers (Markdown) and for LaTeX."""

from gauntlet.runtime.job import run_here


def publish_tables(
    rows: str,
    provenances: list[str],
    records: list[str],
    summary: str,
    summary_csv: str,
    summary_md: str,
    summary_tex: str,
    timings: str,
    certificates: str,
    *,
    spec: dict,
) -> None:
    """Join seeds and write the tables; `summary` is the record that they are made from.

    `rows` is the record of all models, `provenances` are those of the trainings. Their seconds
    differ from run to run, so they are in `timings` and in the tables for readers, never in
    `summary_csv`. `records` are the evaluations', which hold what certificates prove.
    """
    from pathlib import Path

    from gauntlet.core.records import RUN_NAMES, read_json, write_json, write_rows
    from gauntlet.evaluation import certified_accuracy
    from gauntlet.evaluation.summary import COLUMNS, summarize
    from gauntlet.reporting import audit_columns, certificate_tables, search_lines, tables
    from gauntlet.reporting.cells import summary_cells

    joined = summarize(read_json(rows)["rows"])
    write_json(summary, {"study": spec["study"], "rows": joined}, sort=False)
    write_rows(summary_csv, COLUMNS, map(summary_cells, joined))

    spent, seconds = _costs(provenances)
    write_rows(timings, (*RUN_NAMES, *tables.COSTS), spent)

    proven = certificate_tables.rows_of(map(read_json, records))
    write_rows(certificates, certified_accuracy.COLUMNS, proven)

    parts = [
        tables.headline_table(joined, seconds),
        *certificate_tables.certificate_tables(proven),
        tables.full_table(joined),
    ]
    notes = [*tables.warnings(joined), *audit_columns.lines(joined), *tables.NOTES]
    notes += certificate_tables.NOTES if proven else ()
    notes += [*tables.precisions(joined), *search_lines.found_settings(joined)]
    Path(summary_md).write_text(tables.markdown(spec["study"], parts, notes), encoding="utf-8")
    Path(summary_tex).write_text(tables.latex(spec["study"], parts, notes), encoding="utf-8")


def _costs(provenances: list[str]) -> tuple[list[dict], dict[tuple, list[float]]]:
    """Give each training's costs, and the seconds of each (dataset, model, defense)."""
    from gauntlet.core.records import read_json, run_of
    from gauntlet.reporting.tables import COSTS

    spent, seconds = [], {}
    for path in provenances:
        record = read_json(path)
        if record.get("rule") == "import_model":
            continue  # nothing was trained
        run = run_of(path)
        spent.append(run._asdict() | {name: record.get(name) for name in COSTS})
        model = (run.dataset, run.model, run.defense)
        seconds.setdefault(model, []).append(float(record["seconds"]))
    return spent, seconds


if __name__ == "__main__":
    run_here(publish_tables, snakemake)
