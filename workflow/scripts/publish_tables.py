"""Publish a study's summary for programs (CSV), for people (Markdown) and for papers (LaTeX)."""

from gauntlet.runtime.job import run_here


def publish_tables(
    robustness: str,
    provenances: list[str],
    summary_csv: str,
    summary_md: str,
    summary_tex: str,
    timings: str,
    certificates: str,
    records: list[str] = (),
    *,
    spec: dict,
) -> None:
    """Join seeds and write the tables.

    `provenances` are the trainings' records. Their seconds differ from run to run, so they stand
    in `timings` and in the tables for people, never in `summary_csv`. `records` are the
    evaluations', which hold what certificates prove.
    """
    from pathlib import Path

    from gauntlet.evaluation.certified_accuracy import CERTIFICATES
    from gauntlet.evaluation.metrics import RUN_NAMES, read_rows, write_rows
    from gauntlet.evaluation.summary import SUMMARY, summarize
    from gauntlet.reporting import audit_columns, certificate_tables, tables

    summary = summarize(read_rows(robustness))
    write_rows(summary_csv, SUMMARY, summary)

    spent, seconds = _costs(provenances)
    write_rows(timings, (*RUN_NAMES, *tables.COSTS), spent)

    proven = certificate_tables.rows_of(map(_read, records))
    write_rows(certificates, CERTIFICATES, proven)

    parts = [
        tables.headline_table(summary, seconds),
        *certificate_tables.certificate_tables(proven),
    ]
    parts.append(tables.full_table(summary))
    notes = [*tables.warnings(summary), *audit_columns.lines(summary), *tables.NOTES]
    notes += certificate_tables.NOTES if proven else ()
    Path(summary_md).write_text(tables.markdown(spec["study"], parts, notes), encoding="utf-8")
    Path(summary_tex).write_text(tables.latex(spec["study"], parts, notes), encoding="utf-8")


def _read(path: str) -> dict:
    import json
    from pathlib import Path

    return json.loads(Path(path).read_text(encoding="utf-8"))


def _costs(provenances: list[str]) -> tuple[list[dict], dict[tuple, list[float]]]:
    """Give each training's costs, and the seconds of each model's seeds."""
    from gauntlet.evaluation.metrics import RUN_NAMES, run_of
    from gauntlet.reporting.tables import COSTS

    spent, seconds = [], {}
    for path in provenances:
        record = _read(path)
        if record.get("rule") == "import_model":
            continue  # nothing was trained
        names = run_of(path)
        costs = {name: record.get(name) for name in COSTS}
        spent.append(dict(zip(RUN_NAMES, names, strict=True)) | costs)
        seconds.setdefault(names[:3], []).append(float(record["seconds"]))
    return spent, seconds


if __name__ == "__main__":
    run_here(publish_tables, snakemake)
