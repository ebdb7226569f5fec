"""Train one trial of a search with one seed, and judge it on the validation part."""

from gauntlet.runtime.job import run


def run_trial(
    images,
    labels,
    meta,
    split,
    start,
    pretrained,
    crafted,
    teacher,
    extra,
    proposal,
    result,
    history,
    *,
    spec,
    keep=None,
):
    """Write what the trial has reached, and its history by epoch. Test images are not used.

    `proposal` has the settings of all trials of the round; the other files are those of a training.
    An interrupted trial goes on from its checkpoint in `keep`.
    """
    from gauntlet.core import device, records
    from gauntlet.stages import trial

    files = {"images": images, "labels": labels, "meta": meta, "split": split}
    files |= {"start": start, "crafted": crafted, "teacher": teacher, "extra": extra}
    files |= {"pretrained": pretrained}
    tried = trial.try_settings(files, spec, proposal, keep, device.prepare(spec))
    columns = tried.history[0] if tried.history else ["epoch"]
    records.write_rows(history, columns, tried.history)
    records.write_json(result, tried.result)


if __name__ == "__main__":
    run(run_trial, snakemake)
