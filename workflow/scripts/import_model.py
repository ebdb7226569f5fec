"""Take a model from outside as it is given: read it, check it, keep it as ours are kept."""

from gauntlet.job import run


def import_model(images, labels, meta, split, file, best, last, history, record, *, spec):
    """Write what training writes: weights (twice the same), an empty history, a record.

    `file` holds the path of the model's file, or nothing if a factory brings the weights.
    """
    from gauntlet import compute, io, stages
    from gauntlet.external import reporting
    from gauntlet.external.importing import import_weights

    device = compute.prepare(spec)
    known = io.read_json(meta)
    path = file[0] if file else None
    given = import_weights(spec, tuple(known["shape"]), len(known["classes"]), path)
    for place in (best, last):
        io.save_state(given.state, place)
    _, pictures, truth = stages.load_part(images, labels, meta, split, "validation", device)
    model = stages.trained_model(spec, meta, best).to(device)
    found = reporting.report(spec, given, model, pictures, truth, len(known["classes"]))
    io.write_rows(history, ["epoch"], [])
    io.write_json(record, found)


if __name__ == "__main__":
    run(import_model, snakemake)
