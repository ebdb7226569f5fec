"""Turn a model's ledgers into its rows of the robustness table."""

from gauntlet.job import run_here


def evaluate_robustness(
    ledgers: list[str], transfers: list[str], train: str, table: str, record: str, *, spec: dict
) -> None:
    """Measure every attack, and the worst case per image of attacks with one norm and eps.

    `ledgers` follow spec["attacks"], `transfers` follow spec["transfer"] ([source, attack] pairs).
    """
    import json
    from pathlib import Path

    from gauntlet import metrics

    points = []
    for path, attack in zip(ledgers, spec["attacks"], strict=True):
        points += metrics.read_points(path, attack)
    for path, (source, attack) in zip(transfers, spec["transfer"], strict=True):
        points += metrics.read_points(path, attack, source)
    metrics.agree(points)
    threats = metrics.threat_models(points)
    joined = [metrics.worst_case(group) for group in threats.values() if len(group) > 1]

    training = json.loads(Path(train).read_text(encoding="utf-8"))
    run = {name: spec[name] for name in ("dataset", "model", "defense", "seed")}
    told = {name: training[name] for name in ("selection", "selected_epoch")}
    told["warning"] = "; ".join(training["warnings"])
    rows = [run | metrics.measure(point) | told for point in points + joined]
    metrics.write_rows(table, metrics.COLUMNS, rows)

    thresholds = [
        {
            "norm": norm,
            "eps": eps,
            "attacks": [point.attack for point in group],
            "classes": metrics.per_class(group),
        }
        for (norm, eps), group in threats.items()
    ]
    whole = run | {"rows": rows, "thresholds": thresholds}
    Path(record).write_text(json.dumps(whole, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_here(evaluate_robustness, snakemake)
