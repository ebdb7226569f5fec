"""Hold a study's models against what is required of them."""

from gauntlet.runtime.job import run_here


def gate(rows: str, record: str, page: str, *, spec: dict) -> None:
    """Write a verdict for every requirement and model; whether all are met fails no job here."""
    from dataclasses import asdict
    from pathlib import Path

    from gauntlet.core.records import read_json, write_json
    from gauntlet.evaluation.gate import judge
    from gauntlet.reporting import gate_page

    verdicts = judge(spec["demands"], read_json(rows)["rows"])
    short = gate_page.shortfalls(verdicts)
    made = {"study": spec["study"], "passed": not short, "shortfalls": short}
    write_json(record, made | {"verdicts": list(map(asdict, verdicts))})
    Path(page).write_text(gate_page.page(spec["study"], verdicts), encoding="utf-8")


if __name__ == "__main__":
    run_here(gate, snakemake)
