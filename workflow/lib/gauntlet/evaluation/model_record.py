"""One model's record: its ledgers, certificates and audit, measured. NumPy only."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gauntlet.core.records import RUN_NAMES, read_json
from gauntlet.evaluation import audit_ledger, certificate_ledger, certified_accuracy, metrics
from gauntlet.evaluation.attack_ledger import (
    RERUN,
    SELF,
    TRANSFER,
    AttackLedger,
    has_rows,
    read_ledger,
    require_same_images,
)
from gauntlet.evaluation.certificate_ledger import CertificateLedger, read_certificate
from gauntlet.evaluation.failed_rows import with_failures
from gauntlet.evaluation.failures import Failure, failed, read_failures


@dataclass(frozen=True)
class Paths:
    """The files that an evaluation reads; all but `train` are lists, in the spec's order.

    `audits` is the model's audit and `found` what its checks have broken, or both are empty;
    `reruns` is the ledger of the attack that went around what the audit found (which may have no
    rows), or empty.
    """

    train: str
    ledgers: Sequence[str]
    checks: Sequence[str] = ()
    transfers: Sequence[str] = ()
    certificates: Sequence[str] = ()
    audits: Sequence[str] = ()
    found: Sequence[str] = ()
    reruns: Sequence[str] = ()


def model_record(spec: Mapping, paths: Paths) -> dict:
    """Measure every attack on a model, and the worst case of each norm and eps: JSON types.

    `spec` names the attacks, certificates and transferred sets as `study.specs.evaluate_spec` does.
    Raises GauntletError if an example contradicts a certificate, or files do not belong together.
    """
    attacks, proven, failures = _attacks(spec, paths), _proven(spec, paths), _failures(spec, paths)
    if attacks:
        require_same_images(attacks)
        certificate_ledger.require_same_images(attacks[0], proven)
    found = _found(attacks, paths)
    certificate_ledger.refuse(certificate_ledger.contradictions([*attacks, *found], proven))
    training = read_json(paths.train)
    audit = _audit(paths.audits[0]) if paths.audits else None
    warnings = [*training["warnings"], *(f"{p.certificate}: {p.note}" for p in proven if p.note)]
    warnings += [f"audit failed: {audit['reason']}"] if audit and "reason" in audit else []
    checks = dict(zip(spec["attacks"], map(read_json, paths.checks), strict=True))
    measured = metrics.evaluate(
        attacks, checks, warnings, spec["minimal"], bool(paths.audits), found
    )
    measured = with_failures(measured, attacks, failures)
    run = {name: spec[name] for name in RUN_NAMES}
    chosen = {name: training[name] for name in ("selection", "selected_epoch")}
    chosen |= {"audit": audit} | ({"found": training["found"]} if "found" in training else {})
    rows = [
        run | row | certified_accuracy.certified(row, proven) | chosen | _lowered(spec, row)
        for row in measured.pop("rows")
    ]
    certificates = [
        certified_accuracy.certificate_record(ledger, about)
        for ledger, about in zip(proven, spec["certificates"], strict=True)
    ]
    whole = run | {"rows": rows} | measured | {"certificates": certificates}
    told = [
        {"what": one.attack, "reason": one.reason, "path": one.path}
        for one in {failure.path: failure for failure in failures}.values()
    ]
    if audit and "reason" in audit:
        told.append({"what": "audit", "reason": audit["reason"], "path": paths.audits[0]})
    return whole | ({"failures": told} if told else {})


def _lowered(spec: Mapping, row: Mapping) -> dict:
    lower = spec.get("low_precision", {})
    return {"precision": lower[row["attack"]]} if row["attack"] in lower else {}


def _files(spec: Mapping, paths: Paths) -> Iterator[tuple[str, str, str]]:
    """Give each ledger's path, attack and source."""
    for path, attack in zip(paths.ledgers, spec["attacks"], strict=True):
        yield path, attack, SELF
    for path, (source, attack) in zip(paths.transfers, spec["transfer"], strict=True):
        yield path, attack, source
    for path in paths.reruns:
        if has_rows(path):
            yield path, RERUN, SELF


def _attacks(spec: Mapping, paths: Paths) -> list[AttackLedger]:
    files = [file for file in _files(spec, paths) if not failed(file[0])]
    return [ledger for file in files for ledger in read_ledger(*file)]


def _failures(spec: Mapping, paths: Paths) -> list[Failure]:
    return [failure for file in _files(spec, paths) for failure in read_failures(*file)]


def _proven(spec: Mapping, paths: Paths) -> list[CertificateLedger]:
    named = zip(paths.certificates, spec["certificates"], strict=True)
    return [read_certificate(path, about["name"]) for path, about in named]


def _found(attacks: Sequence[AttackLedger], paths: Paths) -> list[AttackLedger]:
    """Read what the audit's checks have broken, with their own examples or transferred ones."""
    shown = []
    for record, path in zip(map(read_json, paths.audits), paths.found, strict=True):
        if not attacks or "reason" in record:
            continue
        shown.append(audit_ledger.read_found(path, record["norm"], attacks[0]))
        if any(one["check"] == audit_ledger.TRANSFERRED for one in record["findings"]):
            shown += audit_ledger.as_found([one for one in attacks if one.access == TRANSFER])
    return shown


def _audit(path: str) -> dict:
    record = read_json(path)
    kept = ("verdict", "failed", "warned", "reason")
    return {name: record[name] for name in kept if name in record}
