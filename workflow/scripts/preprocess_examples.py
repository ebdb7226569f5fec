"""Show a model behind a step the examples that were made against the model alone."""

from gauntlet.runtime.job import run


def preprocess_examples(
    images, labels, meta, split, weights, step, examples, draws, ledger, *, spec
):
    """Write a row per image and set of examples: what the attacks do that do not know the step.

    `examples` and `draws` are the files of the attacks in spec["attacks"], in that order: each
    attack's best examples, and its examples of full strength, which go further than they must.
    `step` is what the step has learned, or [].
    """
    from gauntlet.core import records
    from gauntlet.core.device import prepare
    from gauntlet.models import evaluating
    from gauntlet.preprocess.base.fronts import front_of
    from gauntlet.stages import inputs, step_inputs, step_judge
    from gauntlet.stages.craft import EvalImages
    from gauntlet.stages.step_examples import example_sets

    device, known = prepare(spec), records.read_json(meta)
    part = inputs.load_part(images, labels, meta, split, spec["part"], device)
    eval_images = EvalImages(*part, known["source"])
    model = inputs.trained_model(spec, meta, weights).to(device)
    own = step_inputs.to_device(step_inputs.load_step(spec, meta, step), device)
    sets = example_sets(spec["attacks"], examples, draws, eval_images.images)
    with evaluating(front_of(own, model)) as front:
        rows = step_judge.step_rows(front, spec, eval_images, len(known["classes"]), sets)
        records.write_rows(ledger, step_judge.COLUMNS, rows)


if __name__ == "__main__":
    run(preprocess_examples, snakemake)
