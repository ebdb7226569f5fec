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
    that went around what the audit found (which may have no rows), or empty. spec["low_precision"],
    if there, names the format of gradients by attack, where it is not float32. Raises GauntletError
    if an example contradicts a certificate.
    """
    from gauntlet.core.records import RUN_NAMES, read_json, write_json, write_rows
    from gauntlet.evaluation import attack_ledger, certificate_ledger, certified_accuracy, metrics
    from gauntlet.reporting.cells import robustness_cells

    attacks = _attacks(spec, ledgers, transfers, reruns)
    attack_ledger.require_same_images(attacks)
    proven = _proven(spec, certificates)
    certificate_ledger.require_same_images(attacks[0], proven)
    certificate_ledger.refuse(certificate_ledger.contradictions(attacks, proven))
    training = read_json(train)
    checked = dict(zip(spec["attacks"], map(read_json, checks), strict=True))
    warnings = [*training["warnings"], *(f"{p.certificate}: {p.note}" for p in proven if p.note)]
    measured = metrics.evaluate(attacks, checked, warnings, spec["minimal"], bool(audits))
    run = {name: spec[name] for name in RUN_NAMES}
    chosen = {name: training[name] for name in ("selection", "selected_epoch")}
    chosen["audit"] = _audit(audits[0]) if audits else None
    rows = [
        run | row | certified_accuracy.certified(row, proven) | chosen | _lowered(spec, row)
        for row in measured.pop("rows")
    ]
    write_rows(table, metrics.COLUMNS, map(robustness_cells, rows))
    whole = run | {"rows": rows} | measured
    whole["certificates"] = [
        certified_accuracy.certificate_record(ledger, about)
        for ledger, about in zip(proven, spec["certificates"], strict=True)
    ]
    write_json(record, whole, sort=False)


def _lowered(spec: dict, row: dict) -> dict:
    lower = spec.get("low_precision", {})
    return {"precision": lower[row["attack"]]} if row["attack"] in lower else {}


def _audit(path: str) -> dict:
    from gauntlet.core.records import read_json

    record = read_json(path)
    return {name: record[name] for name in ("verdict", "failed", "warned")}


def _proven(spec: dict, certificates) -> list:
    from gauntlet.evaluation.certificate_ledger import read_certificate

    named = zip(certificates, spec["certificates"], strict=True)
    return [read_certificate(path, about["name"]) for path, about in named]


def _attacks(spec: dict, ledgers, transfers, reruns) -> list:
    from gauntlet.evaluation.attack_ledger import RERUN, has_rows, read_ledger

    found = []
    for path, attack in zip(ledgers, spec["attacks"], strict=True):
        found += read_ledger(path, attack)
    for path, (source, attack) in zip(transfers, spec["transfer"], strict=True):
        found += read_ledger(path, attack, source)
    for path in reruns:
        found += read_ledger(path, RERUN) if has_rows(path) else []
    return found


if __name__ == "__main__":
    run_here(evaluate_robustness, snakemake)
