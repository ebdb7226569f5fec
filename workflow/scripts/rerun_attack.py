"""Attack a model again where its audit found masking, by every means that goes around it."""

from gauntlet.runtime.job import run


def rerun_attack(
    images, labels, meta, split, weights, audit, found, known, examples, ledger, *, spec
) -> str | None:
    """Write the examples and their ledger; both are empty where the audit found no masking.

    `found` and `known` are what the audit's checks broke, and the examples that did. Examples are
    judged as they were saved, on the model itself in float32. If the model fails, the ledger says
    why, and so does what is given back.
    """
    import numpy as np
    import torch

    from gauntlet.core import records
    from gauntlet.core.device import prepare
    from gauntlet.models import evaluating
    from gauntlet.stages import failure, inputs, judge, rerun
    from gauntlet.stages.craft import EvalImages

    device, files = prepare(spec), (images, labels, meta, split)
    part = inputs.load_part(*files, spec["part"], device)
    eval_images = EvalImages(*part, records.read_json(meta)["source"])
    made, rows = [rerun.nothing(eval_images.images)], []
    if remedies := records.read_json(audit)["remedies"]:
        train = inputs.load_part(*files, "train", device)[1]
        before = rerun.known_examples(found, known, eval_images)
        model = inputs.trained_model(spec, meta, weights).to(device)
        with evaluating(model), torch.random.fork_rng():
            torch.manual_seed(spec["seed"])
            try:
                for one in rerun.rerun(model, spec, eval_images, remedies, train, before):
                    saved = judge.saved(one.crafted.examples, examples, device)
                    parts = (model, one.spec, eval_images, saved, "white-box", one.crafted)
                    rows += judge.ledger(*parts, members=one.members)
                    made.append(saved.flatten(0, 1).cpu())
            except Exception as error:
                points = [{"norm": norm, "eps": eps} for norm, eps in spec["threats"]]
                own = spec | {"points": points}
                return failure.instead_of_ledger(error, own, eval_images, ledger, examples)
    np.save(examples, torch.cat(made).numpy())
    records.write_rows(ledger, judge.COLUMNS, rows)
    return None


if __name__ == "__main__":
    run(rerun_attack, snakemake)
