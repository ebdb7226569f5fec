"""Pass a study that is what is kept of it, or fail with the list of what is not."""

from gauntlet.runtime.job import run_here


def verify_reference(record: str, verified: str, *, spec: dict) -> None:
    """Write `verified`. Raises GauntletError, a sentence a line, if a kept row is not met."""
    from pathlib import Path

    from gauntlet.core.errors import GauntletError
    from gauntlet.core.records import read_json

    problems = read_json(record)["problems"]
    if problems:
        sentences = "\n".join(problems)
        raise GauntletError(f"'{spec['study']}' is not what is kept of it ({record}).\n{sentences}")
    Path(verified).write_text("", encoding="utf-8")


if __name__ == "__main__":
    run_here(verify_reference, snakemake)
