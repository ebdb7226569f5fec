"""Train one model with one defense and one seed."""

from gauntlet.job import run


def train_model(
    images, labels, meta, split, start, crafted, best, last, history, record, *, spec, keep=None
):
    """Write the best and the last weights, the history by epoch and a record of the choice.

    `start` is the weights file to begin from, or []; `crafted` the examples of a defense that
    trains on files, or []. An interrupted training goes on from its checkpoint in `keep`.
    """
    from pathlib import Path

    from gauntlet import compute, io, stages, training
    from gauntlet.models import load_weights
    from gauntlet.training import NonFiniteLoss, Part

    device = compute.prepare(spec)
    parts = {
        name: Part(*stages.load_part(images, labels, meta, split, name, device)[1:])
        for name in ("train", "validation")
    }
    model = stages.make_model(spec, meta, spec["seed"]).to(device)
    if start:
        load_weights(model, io.load_state(start[0]), start[0])
    else:
        model.normalise_like(parts["train"].images)
    examples = stages.load_crafted(crafted[0], parts["train"].images) if crafted else None
    rescue = Path(best).with_name("last_good.pt")
    rescue.unlink(missing_ok=True)
    try:
        outcome = training.fit(model, spec, parts["train"], parts["validation"], examples, keep)
    except NonFiniteLoss as error:
        if error.outcome.best:
            io.save_state(error.outcome.best, rescue)
        raise
    io.save_state(outcome.best, best)
    io.save_state(outcome.last, last)
    io.write_rows(history, outcome.history[0], outcome.history)
    io.write_json(record, training.choice_record(spec, outcome))


if __name__ == "__main__":
    run(train_model, snakemake)
