"""Turn a model's ledgers into its rows of the robustness table."""

from gauntlet.job import run_here


def evaluate_robustness(
    ledgers, checks, transfers, train, table, record, audits=(), reruns=(), *, spec: dict
) -> None:
    """Measure every attack, and the worst case per image of attacks with one norm and eps.

    `ledgers` and `checks` follow spec["attacks"], `transfers` spec["transfer"] ([source, attack]
    pairs). An attack that failed its check gets no robust accuracy of its own. `audits` is the
    model's audit, or empty; `reruns` the ledger of the attack that went around what the audit found
    (which may have no rows), or empty.
    """
    import json
    from pathlib import Path

    from gauntlet import metrics
    from gauntlet.points import RERUN, agree, has_rows, read_points

    points = []
    for path, attack in zip(ledgers, spec["attacks"], strict=True):
        points += read_points(path, attack)
    for path, (source, attack) in zip(transfers, spec["transfer"], strict=True):
        points += read_points(path, attack, source)
    for path in reruns:
        points += read_points(path, RERUN) if has_rows(path) else []
    agree(points)
    training, *verdicts = (
        json.loads(Path(p).read_text(encoding="utf-8")) for p in (train, *checks)
    )
    told = {name: spec[name] for name in ("dataset", "model", "defense", "seed")}
    by_name = dict(zip(spec["attacks"], verdicts, strict=True))
    measured = metrics.evaluate(
        points, by_name, training["warnings"], spec["minimal"], bool(audits)
    )
    chosen = {name: training[name] for name in ("selection", "selected_epoch")}
    found = [json.loads(Path(path).read_text(encoding="utf-8"))["summary"] for path in audits]
    chosen["audit"] = found[0] if found else ""
    rows = [told | row | chosen for row in measured.pop("rows")]
    metrics.write_rows(table, metrics.COLUMNS, rows)
    whole = told | {"rows": rows} | measured
    Path(record).write_text(json.dumps(whole, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_here(evaluate_robustness, snakemake)
