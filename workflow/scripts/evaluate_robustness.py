"""Turn a model's ledgers into its rows of the robustness table."""

from gauntlet.runtime.job import run_here


def evaluate_robustness(
    ledgers,
    checks,
    transfers,
    train,
    table,
    record,
    audits=(),
    reruns=(),
    certificates=(),
    *,
    spec: dict,
) -> None:
    """Measure every attack, and the worst case per image of attacks with one norm and eps.

    `ledgers` and `checks` follow spec["attacks"], `transfers` spec["transfer"] ([source, attack]
    pairs), `certificates` spec["certificates"]. An attack that failed its check gets no robust
    accuracy of its own. `audits` is the model's audit, or empty; `reruns` the ledger of the attack
    that went around what the audit found (which may have no rows), or empty. Raises GauntletError
    if an example broke what a certificate proves.
    """
    import json
    from pathlib import Path

    from gauntlet.evaluation import certificate_ledger, certified_accuracy, metrics
    from gauntlet.evaluation.attack_ledger import agree

    points = _points(spec, ledgers, transfers, reruns)
    agree(points)
    proven = _proofs(spec, certificates)
    certificate_ledger.agree(points[0], proven)
    certificate_ledger.refuse(certificate_ledger.contradictions(points, proven))
    training, *verdicts = (
        json.loads(Path(p).read_text(encoding="utf-8")) for p in (train, *checks)
    )
    told = {name: spec[name] for name in ("dataset", "model", "defense", "seed")}
    by_name = dict(zip(spec["attacks"], verdicts, strict=True))
    noticed = [*training["warnings"], *(f"{p.certificate}: {p.note}" for p in proven if p.note)]
    measured = metrics.evaluate(points, by_name, noticed, spec["minimal"], bool(audits))
    chosen = {name: training[name] for name in ("selection", "selected_epoch")}
    found = [json.loads(Path(path).read_text(encoding="utf-8"))["summary"] for path in audits]
    chosen["audit"] = found[0] if found else ""
    rows = [
        told | row | certified_accuracy.certified(row, proven) | chosen
        for row in measured.pop("rows")
    ]
    metrics.write_rows(table, metrics.COLUMNS, rows)
    whole = told | {"rows": rows} | measured
    whole["certificates"] = [
        certified_accuracy.told(proof, about)
        for proof, about in zip(proven, spec["certificates"], strict=True)
    ]
    Path(record).write_text(json.dumps(whole, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _proofs(spec: dict, certificates) -> list:
    from gauntlet.evaluation.certificate_ledger import read_proof

    named = zip(certificates, spec["certificates"], strict=True)
    return [read_proof(path, about["name"]) for path, about in named]


def _points(spec: dict, ledgers, transfers, reruns) -> list:
    from gauntlet.evaluation.attack_ledger import RERUN, has_rows, read_points

    points = []
    for path, attack in zip(ledgers, spec["attacks"], strict=True):
        points += read_points(path, attack)
    for path, (source, attack) in zip(transfers, spec["transfer"], strict=True):
        points += read_points(path, attack, source)
    for path in reruns:
        points += read_points(path, RERUN) if has_rows(path) else []
    return points


if __name__ == "__main__":
    run_here(evaluate_robustness, snakemake)
