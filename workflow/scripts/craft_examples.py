"""Make adversarial examples of one attack anew against one model."""

from gauntlet.runtime.job import run


def craft_examples(
    images,
    labels,
    meta,
    split,
    weights,
    examples,
    draws,
    ledger,
    certificates=(),
    *,
    spec,
    keep=None,
) -> str | None:
    """Write float32 examples, random draws of full strength, and the ledger of what they did.

    The examples are judged as they were saved. What is done is kept in the folder `keep` until the
    job has ended, so that an interrupted one goes on from it. `certificates` are ledgers of what is
    proven: such images are not attacked, but for a sample. If the model or the attack fails on the
    test part, the ledger says why, and so does what is given back. Raises GauntletError if an
    image of that sample falls.
    """
    from gauntlet.core import records
    from gauntlet.core.device import prepare
    from gauntlet.models import evaluating
    from gauntlet.stages import craft, failure, inputs, judge
    from gauntlet.stages.skip_certified import Spared

    device = prepare(spec)
    part = inputs.load_part(images, labels, meta, split, spec["part"], device)
    spared = Spared(certificates, spec, part[0]) if certificates else None
    limits = spared.limits() if spared else None
    everyone = craft.EvalImages(*part, records.read_json(meta)["source"], limits)
    columns = (*judge.COLUMNS, "certified") if spared else judge.COLUMNS
    eval_images = everyone.select(inputs.shard_rows(spec, len(part[0])))
    if not len(eval_images.index):  # there are more shards than images
        return judge.save_nothing(eval_images, columns, ledger, examples, draws)
    model = inputs.trained_model(spec, meta, weights).to(device)
    with evaluating(model):
        try:
            made = craft.craft(model, spec, eval_images, keep)
        except Exception as error:
            if spec["part"] != "test":  # a training waits for these examples
                raise
            return failure.instead_of_ledger(error, spec, eval_images, ledger, examples, draws)
        judge.saved(made.draws, draws, device)
        saved = judge.saved(made.examples, examples, device)
        rows = judge.ledger(model, spec, eval_images, saved, "white-box", made)
        records.write_rows(ledger, columns, spared.marked(rows) if spared else rows)
    return None


if __name__ == "__main__":
    run(craft_examples, snakemake)
