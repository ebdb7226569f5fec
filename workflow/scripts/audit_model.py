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
    found,
    examples,
    *,
    spec,
):
    """Write the findings for programs (`record`) and for readers (`page`).

    `found` is a table of the images that a check has broken, `examples` what broke them, in its
    order: they count in the study's worst case. `ledgers` follow spec["attacks"], `transfers`
    spec["transfer"]; they and `certificates` may be empty. Raises GauntletError if an attack
    succeeds on a certified image: one of both is in error.
    """
    from pathlib import Path

    from gauntlet.core import records
    from gauntlet.core.device import prepare
    from gauntlet.models import evaluating
    from gauntlet.reporting import audit_page
    from gauntlet.stages import audit, inputs

    device, files = prepare(spec), (images, labels, meta, split)
    test, learned = (inputs.load_part(*files, part, device) for part in ("test", "train"))
    model = inputs.trained_model(spec, meta, weights).to(device)
    known = audit.read_known(spec, history, train, ledgers, transfers, certificates)
    with evaluating(model):
        made, subject = audit.audited(model, spec, test, learned, known)
    audit.save_found(subject, found, examples)
    records.write_json(record, made)
    Path(page).write_text(audit_page.page(spec["name"], made), encoding="utf-8")


if __name__ == "__main__":
    run(audit_model, snakemake)
