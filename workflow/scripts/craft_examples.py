"""Make adversarial examples of one attack anew against one model."""

from gauntlet.job import run


def craft_examples(images, labels, meta, split, weights, examples, draws, ledger, *, spec):
    """Write float32 examples, random draws of full strength, and the ledger of what they did.

    The examples are judged as they were saved: they are read back from their file.
    """
    import numpy as np
    import torch

    from gauntlet import compute, crafting, io, stages
    from gauntlet.models import evaluating

    device = compute.prepare(spec)
    index, clean, truth = stages.load_part(images, labels, meta, split, spec["part"], device)
    model = stages.trained_model(spec, meta, weights).to(device)
    with evaluating(model):
        made = crafting.craft(model, spec, clean, truth)
        np.save(examples, made.examples.cpu().numpy())
        np.save(draws, made.draws.cpu().numpy())
        saved = torch.from_numpy(np.load(examples)).to(device)
        rows = crafting.ledger(
            model, spec, index, clean, truth, saved, "white-box", made.steps, made.draw_loss
        )
        io.write_rows(ledger, crafting.COLUMNS, rows)


if __name__ == "__main__":
    run(craft_examples, snakemake)
