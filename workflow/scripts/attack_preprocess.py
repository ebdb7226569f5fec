"""Attack a model through the step in front of it."""

from gauntlet.runtime.job import run


def attack_preprocess(
    images, labels, meta, split, weights, step, examples, ledger, *, spec, keep=None
):
    """Write the examples, and a row per image and point: what an attack does that knows the step.

    The examples are judged as they were saved. What is done is kept in the folder `keep` until the
    job has ended. `step` is what the step has learned, or [].
    """
    import numpy as np
    import torch

    from gauntlet.core import records
    from gauntlet.core.device import prepare
    from gauntlet.models import evaluating
    from gauntlet.preprocess.base.fronts import front_of
    from gauntlet.stages import inputs, step_attack, step_inputs, step_judge
    from gauntlet.stages.craft import EvalImages

    device, known = prepare(spec), records.read_json(meta)
    part = inputs.load_part(images, labels, meta, split, spec["part"], device)
    eval_images = EvalImages(*part, known["source"])
    model = inputs.trained_model(spec, meta, weights).to(device)
    own = step_inputs.to_device(step_inputs.load_step(spec, meta, step), device)
    with evaluating(front_of(own, model)) as front:
        made = step_attack.attack_through(front, spec, eval_images, keep)
        np.save(examples, made.flatten(0, 1).numpy())
        saved = torch.from_numpy(np.load(examples)).to(device).view_as(made)
        sets = [
            step_judge.ExampleSet(point["kind"], "adaptive", point["norm"], point["eps"], some)
            for point, some in zip(spec["points"], saved, strict=True)
        ]
        rows = step_judge.step_rows(front, spec, eval_images, len(known["classes"]), sets)
        records.write_rows(ledger, step_judge.COLUMNS, rows)


if __name__ == "__main__":
    run(attack_preprocess, snakemake)
