"""Take a model from outside as it is given: read it, check it, keep it as ours are kept."""

from gauntlet.runtime.job import run


def import_model(images, labels, meta, split, file, best, last, history, record, *, spec):
    """Write what training writes: weights (twice the same), an empty history, a record.

    `file` holds the path of the model's file, or nothing if a factory brings the weights.
    """
    from gauntlet.core import records, tensor_io
    from gauntlet.core.device import prepare
    from gauntlet.stages import import_record, inputs
    from gauntlet.stages.import_model import import_weights

    device = prepare(spec)
    known = records.read_json(meta)
    path = file[0] if file else None
    given = import_weights(spec, tuple(known["shape"]), len(known["classes"]), path)
    for place in (best, last):
        tensor_io.save_state(given.state, place)
    _, pictures, truth = inputs.load_part(images, labels, meta, split, "validation", device)
    model = inputs.trained_model(spec, meta, best).to(device)
    found = import_record.report(spec, given, model, pictures, truth, len(known["classes"]))
    records.write_rows(history, ["epoch"], [])
    records.write_json(record, found)


if __name__ == "__main__":
    run(import_model, snakemake)
