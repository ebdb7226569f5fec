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
    """Write the findings for programs (`record`) and for readers (`page`), and what checks broke.

    `found` is a table of the images that a check has broken, `examples` what broke them, in its
    order. `ledgers` follow spec["attacks"], `transfers` spec["transfer"]; they and `certificates`
    may be empty. If the model fails, the record says why, and so does what is given back. Raises
    BrokenProof if an attack succeeds on a certified image.
    """
    from pathlib import Path

    from gauntlet.core import records
    from gauntlet.core.device import prepare
    from gauntlet.core.errors import BrokenProof
    from gauntlet.models import evaluating
    from gauntlet.reporting import audit_page
    from gauntlet.stages import audit, failure, inputs

    device, files = prepare(spec), (images, labels, meta, split)
    test, learned = (inputs.load_part(*files, part, device) for part in ("test", "train"))
    model = inputs.trained_model(spec, meta, weights).to(device)
    known = audit.read_known(spec, history, train, ledgers, transfers, certificates)
    with evaluating(model):
        try:
            made, subject = audit.audited(model, spec, test, learned, known)
        except BrokenProof:
            raise
        except Exception as error:
            made = failure.instead_of_audit(error, spec, len(test[0]), found, examples)
        else:
            audit.save_found(subject, found, examples)
    records.write_json(record, made)
    Path(page).write_text(audit_page.page(spec["name"], made), encoding="utf-8")
    return made.get("reason")


if __name__ == "__main__":
    run(audit_model, snakemake)
