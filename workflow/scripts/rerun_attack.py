"""Attack a model again where its audit found masking, by an attack that goes around it."""

from gauntlet.job import run


def rerun_attack(images, labels, meta, split, weights, audit, examples, ledger, *, spec, keep=None):
    """Write the examples and their ledger; both are empty where the audit found no masking.

    The examples are judged as they were saved, on the model itself in float32.
    """
    import numpy as np
    import torch

    from gauntlet import compute, io, rerunning, stages
    from gauntlet.crafting import Victims
    from gauntlet.ledger import COLUMNS
    from gauntlet.ledger import ledger as judged
    from gauntlet.models import evaluating

    device = compute.prepare(spec)
    part = stages.load_part(images, labels, meta, split, spec["part"], device)
    victims = Victims(*part, io.read_json(meta)["source"])
    made, rows = [rerunning.nothing(victims.images)], []
    if remedies := io.read_json(audit)["remedies"]:
        model = stages.trained_model(spec, meta, weights).to(device)
        with evaluating(model), torch.random.fork_rng():
            torch.manual_seed(spec["seed"])
            for own, crafted in rerunning.rerun(model, spec, victims, remedies, keep):
                np.save(examples, crafted.examples.flatten(0, 1).numpy())
                saved = torch.from_numpy(np.load(examples)).to(device).view_as(crafted.examples)
                rows += judged(model, own, victims, saved, "white-box", crafted)
                made.append(crafted.examples.flatten(0, 1))
    np.save(examples, torch.cat(made).numpy())
    io.write_rows(ledger, COLUMNS, rows)


if __name__ == "__main__":
    run(rerun_attack, snakemake)
