"""Prove of each image what one certificate can."""

from gauntlet.job import run


def certify_robustness(images, labels, meta, split, weights, ledger, *, spec, keep=None):
    """Write what is proven about every image of a part, at every eps.

    What is done is kept in the folder `keep` until the job has ended, so that an interrupted one
    goes on from it. Seconds stand in the provenance, so that the ledger is the same every time.
    """
    from gauntlet import certifying, compute, io, stages
    from gauntlet.crafting import Victims
    from gauntlet.models import evaluating
    from gauntlet.proofs import COLUMNS

    device = compute.prepare(spec)
    part = stages.load_part(images, labels, meta, split, spec["part"], device)
    victims = Victims(*part, io.read_json(meta)["source"])
    model = stages.trained_model(spec, meta, weights).to(device)
    with evaluating(model):
        found = certifying.prove(model, spec, victims, keep)
        io.write_rows(ledger, COLUMNS, certifying.rows(model, spec, victims, found))


if __name__ == "__main__":
    run(certify_robustness, snakemake)
