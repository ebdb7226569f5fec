"""Collect all models' rows of a study: as a record with structures, and as one table."""

from gauntlet.runtime.job import run_here


def collect_results(records: list[str], robustness: str, rows: str, *, spec: dict) -> None:
    """Write all rows in the study's order: data set, model, defense, seed, then as evaluated.

    `records` are the evaluations' JSON; `rows` is a record of all rows for programs, and of what
    failed on which model; `robustness` has the rows as a CSV table. Raises GauntletError if the
    records are not those of the study's models, each once.
    """
    from gauntlet.core.errors import GauntletError
    from gauntlet.core.records import Run, read_json, write_json, write_rows
    from gauntlet.evaluation.metrics import COLUMNS
    from gauntlet.reporting.cells import robustness_cells
    from gauntlet.study.matrix import crossed

    failures, wanted = [], [Run(*map(str, run)) for run in crossed(spec, spec.get("external", ()))]
    found = {}
    for path in records:
        record = read_json(path)
        run = Run(*(str(record[name]) for name in Run._fields))
        if run in found or run not in wanted:
            raise GauntletError(
                f"{path} must hold the rows of one model of '{spec['study']}', once."
            )
        found[run] = record["rows"]
        failures += [run._asdict() | failure for failure in record.get("failures", ())]
    if missing := [run for run in wanted if run not in found]:
        raise GauntletError(f"'{spec['study']}' lacks an evaluation of {'/'.join(missing[0])}.")
    collected = [row for run in wanted for row in found[run]]
    whole = {"study": spec["study"], "rows": collected, "failures": failures}
    write_json(rows, whole, sort=False)
    write_rows(robustness, COLUMNS, map(robustness_cells, collected))


if __name__ == "__main__":
    run_here(collect_results, snakemake)
