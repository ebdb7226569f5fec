"""Say that a study is complete, or fail with the list of what failed in it."""

from gauntlet.runtime.job import run_here


def complete_study(
    rows: str, complete: str, results: list[str] = (), others: list[str] = (), *, spec: dict
) -> None:
    """Write `complete`. Raises GauntletError, a sentence a line, if something failed on a model.

    `results` are the files that may say that a model or an attack failed: those that do are
    removed, so that the next run tries again. `others` is all else that the study makes, so that
    one failure keeps nothing from being made.
    """
    from pathlib import Path

    from gauntlet.core.errors import GauntletError
    from gauntlet.core.records import RUN_NAMES, read_json

    failures = read_json(rows)["failures"]
    for failure in failures:
        Path(failure["path"]).unlink(missing_ok=True)
    if failures:
        said = [
            f"{'/'.join(str(one[name]) for name in RUN_NAMES[:3])} seed {one['seed']}: "
            f"{one['what']} failed: {one['reason']}"
            for one in failures
        ]
        head = f"'{spec['study']}' is not complete; its tables say what is missing."
        raise GauntletError("\n".join([head, *said]))
    Path(complete).write_text("", encoding="utf-8")


if __name__ == "__main__":
    run_here(complete_study, snakemake)
