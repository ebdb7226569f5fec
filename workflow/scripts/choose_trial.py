"""Compare the trials of a search, and choose the best one."""

from gauntlet.runtime.job import run


def choose_trial(results: list[str], best: str, rows: str, table: str, *, spec: dict) -> None:
    """Write the best trial's settings, all trials as a record and as a table.

    `results` are all trials, every seed of each. `best` depends on the best trial alone, so that
    more trials that are no better change nothing below. Raises GauntletError if no trial is
    complete.
    """
    from dataclasses import asdict

    from gauntlet.core.errors import GauntletError
    from gauntlet.core.records import read_json, write_json, write_rows
    from gauntlet.reporting.search_cells import columns, trial_cells
    from gauntlet.search import importance, trials

    found = trials.joined(map(read_json, results))
    winner = trials.best(found)
    if winner is None:
        reasons = list(dict.fromkeys(trial.reason for trial in found if trial.reason))
        raise GauntletError(
            f"None of the {len(found)} trials of searches.{spec['search']} is complete "
            f"({' '.join(reasons[:3])}); allowed are ranges of which some settings can be trained."
        )
    chosen = {"search": spec["search"]} | asdict(winner)
    kept = ("search", "trial", "settings", "value", "robust", "clean", "n", "seeds")
    write_json(best, {key: chosen[key] for key in kept})
    mattered = importance.importances(spec["ranges"], found, spec["seed"])
    about = {key: spec[key] for key in ("search", "defense", "dataset", "model", "goal")}
    told = [asdict(trial) for trial in found]
    write_json(rows, about | {"best": winner.trial, "importance": mattered, "trials": told})
    write_rows(table, columns(spec["ranges"]), (trial_cells(row, winner.trial) for row in told))


if __name__ == "__main__":
    run(choose_trial, snakemake)
