"""Hold a study's models against what is required of them."""

from gauntlet.runtime.job import run_here


def gate(robustness: str, record: str, page: str, *, spec: dict) -> None:
    """Write a verdict for every requirement and model; whether all are met fails no job here."""
    import json
    from pathlib import Path

    from gauntlet.evaluation import gate as gating
    from gauntlet.evaluation.metrics import read_rows

    verdicts = gating.judge(spec["demands"], read_rows(robustness))
    short = gating.shortfalls(verdicts)
    made = {"study": spec["study"], "passed": not short, "shortfalls": short, "verdicts": verdicts}
    Path(record).write_text(json.dumps(made, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    Path(page).write_text(gating.page(spec["study"], verdicts), encoding="utf-8")


if __name__ == "__main__":
    run_here(gate, snakemake)
