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
    search=(),
    *,
    spec,
    keep=None,
):
    """Write the best and the last weights, the history by epoch and a record of the choice.

    `start` lists the weights file to begin from, `pretrained` one of other data, `crafted` the
    examples of a defense that trains on files, `teacher` the weights of a teacher, `extra` a file
    of further images, `search` the record of the settings that a search has found. An interrupted
    training goes on from its checkpoint in `keep`.
    """
    from pathlib import Path

    from gauntlet.core import records, tensor_io
    from gauntlet.study.found_settings import with_settings
    from gauntlet.training import loop
    from gauntlet.training.loop import NonFiniteLoss

    files = {"images": images, "labels": labels, "meta": meta, "split": split}
    files |= {"start": start, "crafted": crafted, "teacher": teacher, "extra": extra}
    files |= {"pretrained": pretrained}
    found = records.read_json(search[0]) if search else None
    spec = with_settings(spec, found["settings"]) if found else spec
    rescue = Path(best).with_name("last_good.pt")
    rescue.unlink(missing_ok=True)
    try:
        outcome = _fit(files, spec, keep)
    except NonFiniteLoss as error:
        if error.outcome.best:
            tensor_io.save_state(error.outcome.best, rescue)
        raise
    tensor_io.save_state(outcome.best, best)
    tensor_io.save_state(outcome.last, last)
    records.write_rows(history, outcome.history[0], outcome.history)
    chosen = loop.choice_record(spec, outcome)
    records.write_json(record, chosen | ({"found": found} if found else {}))


def _fit(files, spec, keep):
    """Train in this process, or in one for each of several devices."""
    from gauntlet.core import device
    from gauntlet.stages import train, train_launcher
    from gauntlet.training.data_parallel import SingleProcess

    if spec["training"]["devices"] > 1:
        return train_launcher.fit_shared(files, spec, keep)
    return train.fit_files(files, spec, keep, device.prepare(spec), SingleProcess())


if __name__ == "__main__":
    run(train_model, snakemake)
