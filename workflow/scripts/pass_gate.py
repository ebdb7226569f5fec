"""Let a study through its gate, or fail with the list of what falls short."""

from gauntlet.runtime.job import run_here


def pass_gate(record: str, passed: str, others: list[str] = (), *, spec: dict) -> None:
    """Write `passed`. Raises GauntletError, a sentence a line, if a requirement is not met.

    `others` is all else that the study makes, so that a closed gate keeps nothing from being made.
    """
    import json
    from pathlib import Path

    from gauntlet.core.errors import GauntletError

    short = json.loads(Path(record).read_text(encoding="utf-8"))["shortfalls"]
    if short:
        told = "\n".join(short)
        raise GauntletError(f"The gate of '{spec['study']}' stays closed ({record}).\n{told}")
    Path(passed).write_text("", encoding="utf-8")


if __name__ == "__main__":
    run_here(pass_gate, snakemake)
