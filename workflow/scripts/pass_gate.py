"""Let a study through its gate, or fail with the list of what falls short."""

from gauntlet.runtime.job import run_here


def pass_gate(record: str, passed: str, others: list[str] = (), *, spec: dict) -> None:
    """Write `passed`. Raises GauntletError, a sentence a line, if a requirement is not met.

    `others` is all else that the study makes, so that a closed gate keeps nothing from being made.
    """
    from pathlib import Path

    from gauntlet.core.errors import GauntletError
    from gauntlet.core.records import read_json

    short = read_json(record)["shortfalls"]
    if short:
        sentences = "\n".join(short)
        raise GauntletError(f"The gate of '{spec['study']}' is closed ({record}).\n{sentences}")
    Path(passed).write_text("", encoding="utf-8")


if __name__ == "__main__":
    run_here(pass_gate, snakemake)
