"""Fit a step to the model that it stands before."""

from gauntlet.runtime.job import run


def fit_preprocess(images, labels, meta, split, weights, crafted, step, record, *, spec):
    """Write what a step has learned, and a record of how.

    `crafted` are adversarial examples of the training images against the model, or []. Test images
    are not read.
    """
    from gauntlet.core import records, tensor_io
    from gauntlet.core.device import prepare
    from gauntlet.core.errors import GauntletError
    from gauntlet.core.rng import generator
    from gauntlet.models import evaluating
    from gauntlet.preprocess.base.material import Material
    from gauntlet.stages import inputs, step_inputs

    device, files = prepare(spec), (images, labels, meta, split)
    train, validation = (inputs.load_part(*files, p, device)[1] for p in ("train", "validation"))
    hostile = inputs.load_crafted(crafted[0], train) if crafted else None
    model = inputs.trained_model(spec, meta, weights).to(device)
    fresh = step_inputs.to_device(step_inputs.fresh_step(spec, meta), device)
    if not hasattr(fresh, "fit"):
        kind = spec["preprocess"]["kind"]
        raise GauntletError(f"The step {kind} has FITTED, but its module has no method fit.")
    stream = generator(spec["seed"], "fit", spec["preprocess"]["kind"])
    with evaluating(model):
        found = fresh.fit(Material(model, train, validation, stream, hostile))
    tensor_io.save_state(fresh.state_dict(), step)
    records.write_json(record, found)


if __name__ == "__main__":
    run(fit_preprocess, snakemake)
