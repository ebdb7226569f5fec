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
):
    """Write float32 examples, random draws of full strength, and the ledger of what they did.

    The examples are judged as they were saved: they are read back from their file. What is done is
    kept in the folder `keep` until the job has ended, so that an interrupted one goes on from it.
    `certificates` are ledgers of what is proven: such images are not attacked, but for a sample.
    Raises GauntletError if an image of that sample falls.
    """
    import numpy as np
    import torch

    from gauntlet.core import records
    from gauntlet.core.device import prepare
    from gauntlet.models import evaluating
    from gauntlet.stages import craft, inputs, judge
    from gauntlet.stages.skip_certified import Spared

    device = prepare(spec)
    part = inputs.load_part(images, labels, meta, split, spec["part"], device)
    spared = Spared(certificates, spec, part[0]) if certificates else None
    limits = spared.limits() if spared else None
    everyone = craft.EvalImages(*part, records.read_json(meta)["source"], limits)
    columns = (*judge.COLUMNS, "certified") if spared else judge.COLUMNS
    eval_images = everyone.select(inputs.shard_rows(spec, len(part[0])))
    if not len(eval_images.index):  # there are more shards than images
        for file in (examples, draws):
            np.save(file, eval_images.images.cpu().numpy())
        records.write_rows(ledger, columns, ())
        return
    model = inputs.trained_model(spec, meta, weights).to(device)
    with evaluating(model):
        made = craft.craft(model, spec, eval_images, keep)
        np.save(examples, made.examples.flatten(0, 1).numpy())
        np.save(draws, made.draws.flatten(0, 1).numpy())
        saved = torch.from_numpy(np.load(examples)).to(device).view_as(made.examples)
        rows = judge.ledger(model, spec, eval_images, saved, "white-box", made)
        records.write_rows(ledger, columns, spared.marked(rows) if spared else rows)


if __name__ == "__main__":
    run(craft_examples, snakemake)
