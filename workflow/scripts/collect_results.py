"""Collect all models' rows of a study in one table."""

from gauntlet.runtime.job import run_here


def collect_results(tables: list[str], robustness: str, *, spec: dict) -> None:
    """Write all rows in the study's order: data set, model, defense, seed, then as evaluated.

    Raises GauntletError if the tables are not those of the study's models, each once.
    """
    from gauntlet.core.errors import GauntletError
    from gauntlet.evaluation.metrics import COLUMNS, read_rows, write_rows
    from gauntlet.study.matrix import crossed

    runs = crossed(spec, spec.get("external", ()))
    wanted = [tuple(map(str, run)) for run in runs]
    found = {}
    for path in tables:
        rows = read_rows(path)
        names = {(row["dataset"], row["model"], row["defense"], row["seed"]) for row in rows}
        if len(names) != 1 or names & found.keys() or not names <= set(wanted):
            raise GauntletError(
                f"{path} must hold the rows of one model of '{spec['study']}', once."
            )
        found[names.pop()] = rows
    if missing := [run for run in wanted if run not in found]:
        raise GauntletError(f"'{spec['study']}' lacks a table for {'/'.join(missing[0])}.")
    write_rows(robustness, COLUMNS, [row for run in wanted for row in found[run]])


if __name__ == "__main__":
    run_here(collect_results, snakemake)
