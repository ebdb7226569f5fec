"""Attack a model again where its audit found masking, by an attack that goes around it."""

from gauntlet.runtime.job import run


def rerun_attack(images, labels, meta, split, weights, audit, examples, ledger, *, spec, keep=None):
    """Write the examples and their ledger; both are empty where the audit found no masking.

    The examples are judged as they were saved, on the model itself in float32. If the model fails,
    the ledger says why, and so does what is given back.
    """
    import numpy as np
    import torch

    from gauntlet.core import records
    from gauntlet.core.device import prepare
    from gauntlet.models import evaluating
    from gauntlet.stages import inputs, rerun
    from gauntlet.stages.craft import EvalImages
    from gauntlet.stages.judge import COLUMNS
    from gauntlet.stages.judge import ledger as judged

    device = prepare(spec)
    part = inputs.load_part(images, labels, meta, split, spec["part"], device)
    eval_images = EvalImages(*part, records.read_json(meta)["source"])
    made, rows = [rerun.nothing(eval_images.images)], []
    if remedies := records.read_json(audit)["remedies"]:
        model = inputs.trained_model(spec, meta, weights).to(device)
        with evaluating(model), torch.random.fork_rng():
            torch.manual_seed(spec["seed"])
            for own, crafted in rerun.rerun(model, spec, eval_images, remedies, keep):
                np.save(examples, crafted.examples.flatten(0, 1).numpy())
                saved = torch.from_numpy(np.load(examples)).to(device).view_as(crafted.examples)
                rows += judged(model, own, eval_images, saved, "white-box", crafted)
                made.append(crafted.examples.flatten(0, 1))
    np.save(examples, torch.cat(made).numpy())
    records.write_rows(ledger, COLUMNS, rows)


if __name__ == "__main__":
    run(rerun_attack, snakemake)
