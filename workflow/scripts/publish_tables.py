"""Publish a study's summary for programs (CSV), for people (Markdown) and for papers (LaTeX)."""

from gauntlet.job import run_here


def publish_tables(
    robustness: str,
    provenances: list[str],
    summary_csv: str,
    summary_md: str,
    summary_tex: str,
    timings: str,
    *,
    spec: dict,
) -> None:
    """Join seeds and write the tables.

    `provenances` are the trainings' records. Their seconds differ from run to run, so they stand
    in `timings` and in the tables for people, never in `summary_csv`.
    """
    import json
    from pathlib import Path

    from gauntlet import tables, verdicts
    from gauntlet.metrics import RUN_NAMES, read_rows, run_of, write_rows
    from gauntlet.summary import SUMMARY, summarize

    summary = summarize(read_rows(robustness))
    write_rows(summary_csv, SUMMARY, summary)

    spent, seconds = [], {}
    for path in provenances:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
        names = run_of(path)
        costs = {name: record.get(name) for name in tables.COSTS}
        spent.append(dict(zip(RUN_NAMES, names, strict=True)) | costs)
        seconds.setdefault(names[:3], []).append(float(record["seconds"]))
    write_rows(timings, (*RUN_NAMES, *tables.COSTS), spent)

    parts = [tables.headline_table(summary, seconds), tables.full_table(summary)]
    notes = [*tables.warnings(summary), *verdicts.lines(summary), *tables.NOTES]
    Path(summary_md).write_text(tables.markdown(spec["study"], parts, notes), encoding="utf-8")
    Path(summary_tex).write_text(tables.latex(spec["study"], parts, notes), encoding="utf-8")


if __name__ == "__main__":
    run_here(publish_tables, snakemake)
