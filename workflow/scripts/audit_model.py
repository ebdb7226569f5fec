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
    """Write the findings for programs (`record`) and for people (`page`).

    `ledgers` follow spec["attacks"], `transfers` spec["transfer"]; they
    and `certificates` may be empty. Raises GauntletError if a certified image fell: then either is
    in error.
    """
    from pathlib import Path

    from gauntlet.audit._finding import FAIL
    from gauntlet.core import tensor_io
    from gauntlet.core.device import prepare
    from gauntlet.core.errors import GauntletError
    from gauntlet.models import evaluating
    from gauntlet.stages import audit as auditing
    from gauntlet.stages import inputs

    device = prepare(spec)
    test, learned = (
        inputs.load_part(images, labels, meta, split, part, device) for part in ("test", "train")
    )
    model = inputs.trained_model(spec, meta, weights).to(device)
    papers = {
        "history": auditing.read_history(history),
        "selection": tensor_io.read_json(train)["selection"],
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
    tensor_io.write_json(record, made)
    Path(page).write_text(auditing.page(spec["name"], made), encoding="utf-8")


if __name__ == "__main__":
    run(audit_model, snakemake)
