"""Show one model the examples that were made against another."""

from gauntlet.job import run


def transfer_examples(images, labels, meta, split, weights, draws, ledger, *, spec):
    """Write the ledger of another model's examples (full strength, never frozen) on this model."""
    import torch

    from gauntlet import compute, io, stages
    from gauntlet.crafting import Victims
    from gauntlet.errors import GauntletError
    from gauntlet.ledger import COLUMNS
    from gauntlet.ledger import ledger as judged
    from gauntlet.models import evaluating

    device = compute.prepare(spec)
    victims = Victims(*stages.load_part(images, labels, meta, split, spec["part"], device))
    saved = io.load_array(draws)
    if len(saved) != len(victims.index) * len(spec["points"]):
        raise GauntletError(
            f"{draws} holds {len(saved)} examples for {len(victims.index)} images; an attack that "
            f"is transferred must have loss_draws of 1 or more."
        )
    model = stages.trained_model(spec, meta, weights).to(device)
    with evaluating(model):
        hostile = torch.tensor(saved).to(device).unflatten(0, (len(spec["points"]), -1))
        rows = judged(model, spec, victims, hostile, "transfer")
        io.write_rows(ledger, COLUMNS, rows)


if __name__ == "__main__":
    run(transfer_examples, snakemake)
