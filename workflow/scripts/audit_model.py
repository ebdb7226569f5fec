"""Put one model through the audit's checks: may its numbers be believed?"""

from gauntlet.job import run


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
    """Write the findings for programs (`record`) and for people (`page`).

    `ledgers` follow spec["attacks"], `transfers` spec["transfer"]; they
    and `certificates` may be empty. Raises GauntletError if a certified image fell: then either is
    in error.
    """
    from pathlib import Path

    from gauntlet import auditing, compute, io, stages
    from gauntlet.audit._finding import FAIL
    from gauntlet.errors import GauntletError
    from gauntlet.models import evaluating

    device = compute.prepare(spec)
    test, learned = (
        stages.load_part(images, labels, meta, split, part, device) for part in ("test", "train")
    )
    model = stages.trained_model(spec, meta, weights).to(device)
    papers = {
        "history": auditing.read_history(history),
        "selection": io.read_json(train)["selection"],
        "points": auditing.read_ledgers(ledgers, spec["attacks"], transfers, spec["transfer"]),
        "certificates": auditing.read_certificates(certificates),
    }
    with evaluating(model):
        subject = auditing.make_subject(model, spec, test, learned, **papers)
        findings = auditing.findings_of(subject, spec)
        made = auditing.record_of(subject, findings)
    for finding in findings:
        if finding.check == "certificates" and finding.verdict == FAIL:
            raise GauntletError(finding.meaning)
    io.write_json(record, made)
    Path(page).write_text(auditing.page(spec["name"], made), encoding="utf-8")


if __name__ == "__main__":
    run(audit_model, snakemake)
