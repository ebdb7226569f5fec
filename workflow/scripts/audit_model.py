"""Put one model through the audit's checks: may its numbers be believed?"""

from gauntlet.runtime.job import run


def audit_model(
    images,
    labels,
    meta,
    split,
    weights,
    history,
    train,
    ledgers,
    transfers,
    certificates,
    record,
    page,
    *,
    spec,
):
    """Write the findings for programs (`record`) and for readers (`page`).

    `ledgers` follow spec["attacks"], `transfers` spec["transfer"]; they and `certificates` may be
    empty. Raises GauntletError if an attack succeeds on a certified image: one of both is in error.
    """
    from pathlib import Path

    from gauntlet.audit._finding import FAIL
    from gauntlet.core import records
    from gauntlet.core.device import prepare
    from gauntlet.core.errors import GauntletError
    from gauntlet.models import evaluating
    from gauntlet.reporting import audit_page
    from gauntlet.stages import audit as auditing
    from gauntlet.stages import inputs

    device, files = prepare(spec), (images, labels, meta, split)
    test, learned = (inputs.load_part(*files, part, device) for part in ("test", "train"))
    model = inputs.trained_model(spec, meta, weights).to(device)
    known = {
        "history": auditing.read_history(history),
        "selection": records.read_json(train)["selection"],
        "points": auditing.read_ledgers(ledgers, spec["attacks"], transfers, spec["transfer"]),
        "certificates": auditing.read_certificates(certificates),
    }
    with evaluating(model):
        subject = auditing.make_subject(model, spec, test, learned, **known)
        findings = auditing.findings_of(subject, spec)
        made = auditing.record_of(subject, findings)
    for finding in findings:
        if finding.check == "certificates" and finding.verdict == FAIL:
            raise GauntletError(finding.meaning)
    records.write_json(record, made)
    Path(page).write_text(audit_page.page(spec["name"], made), encoding="utf-8")


if __name__ == "__main__":
    run(audit_model, snakemake)
