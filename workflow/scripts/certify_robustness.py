"""Prove of each image what one certificate can."""

from gauntlet.runtime.job import run


def certify_robustness(images, labels, meta, split, weights, ledger, *, spec, keep=None):
    """Write what is proven about every image of a part, at every eps.

    What is done is kept in the folder `keep` until the job has ended, so that an interrupted one
    goes on from it. Seconds are in the provenance, so that the ledger is the same every time.
    """
    from gauntlet.core import records
    from gauntlet.core.device import prepare
    from gauntlet.evaluation.certificate_ledger import COLUMNS
    from gauntlet.models import evaluating
    from gauntlet.stages import certify, inputs
    from gauntlet.stages.craft import EvalImages

    device = prepare(spec)
    part = inputs.load_part(images, labels, meta, split, spec["part"], device)
    eval_images = EvalImages(*part, records.read_json(meta)["source"])
    model = inputs.trained_model(spec, meta, weights).to(device)
    with evaluating(model):
        found = certify.prove(model, spec, eval_images, keep)
        records.write_rows(ledger, COLUMNS, certify.rows(model, spec, eval_images, found))


if __name__ == "__main__":
    run(certify_robustness, snakemake)
