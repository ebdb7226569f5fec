"""Show one model the examples that were made against another."""

from gauntlet.job import run


def transfer_examples(images, labels, meta, split, weights, draws, ledger, *, spec):
    """Write the ledger of another model's examples (full strength, never frozen) on this model."""
    import torch

    from gauntlet import compute, crafting, io, stages
    from gauntlet.errors import GauntletError
    from gauntlet.models import evaluating

    device = compute.prepare(spec)
    index, clean, truth = stages.load_part(images, labels, meta, split, spec["part"], device)
    saved = io.load_array(draws)
    if len(saved) != len(truth) * len(spec["points"]):
        raise GauntletError(
            f"{draws} holds {len(saved)} examples for {len(truth)} images; an attack that is "
            f"transferred must have loss_draws of 1 or more."
        )
    model = stages.trained_model(spec, meta, weights).to(device)
    with evaluating(model):
        hostile = torch.tensor(saved).to(device)
        rows = crafting.ledger(model, spec, index, clean, truth, hostile, "transfer")
        io.write_rows(ledger, crafting.COLUMNS, rows)


if __name__ == "__main__":
    run(transfer_examples, snakemake)
