"""Train one model with one defense and one seed."""

from gauntlet.runtime.job import run


def train_model(
    images,
    labels,
    meta,
    split,
    start,
    crafted,
    teacher,
    extra,
    pretrained,
    best,
    last,
    history,
    record,
    *,
    spec,
    keep=None,
):
    """Write the best and the last weights, the history by epoch and a record of the choice.

    `start` lists the weights file to begin from, `pretrained` one of other data, `crafted` the
    examples of a defense that trains on files, `teacher` a teacher's weights, `extra` a file of
    further images. An interrupted training goes on from its checkpoint in `keep`.
    """
    from pathlib import Path

    from gauntlet.core import device, records, tensor_io
    from gauntlet.stages import train, train_launcher
    from gauntlet.training import loop
    from gauntlet.training.data_parallel import SingleProcess
    from gauntlet.training.loop import NonFiniteLoss

    files = {"images": images, "labels": labels, "meta": meta, "split": split}
    files |= {"start": start, "crafted": crafted, "teacher": teacher, "extra": extra}
    files |= {"pretrained": pretrained}
    rescue = Path(best).with_name("last_good.pt")
    rescue.unlink(missing_ok=True)
    try:
        if spec["training"]["devices"] > 1:
            outcome = train_launcher.fit_shared(files, spec, keep)
        else:
            outcome = train.fit_files(files, spec, keep, device.prepare(spec), SingleProcess())
    except NonFiniteLoss as error:
        if error.outcome.best:
            tensor_io.save_state(error.outcome.best, rescue)
        raise
    tensor_io.save_state(outcome.best, best)
    tensor_io.save_state(outcome.last, last)
    records.write_rows(history, outcome.history[0], outcome.history)
    records.write_json(record, loop.choice_record(spec, outcome))


if __name__ == "__main__":
    run(train_model, snakemake)
