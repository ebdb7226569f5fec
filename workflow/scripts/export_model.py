"""Write a model in the forms that other programs read."""

from gauntlet.job import run


def export_model(meta, weights, torchscript, exported, onnx, *, spec):
    """Write three files, each of which takes any number of images in [0, 1] and gives logits."""
    from gauntlet import compute, io, stages
    from gauntlet.external import exporting

    compute.prepare(spec)
    model = stages.trained_model(spec, meta, weights).eval().requires_grad_(False)
    shape = tuple(io.read_json(meta)["shape"])
    exporting.save_torchscript(model, shape, torchscript)
    exporting.save_exported(model, shape, exported)
    exporting.save_onnx(model, shape, onnx)


if __name__ == "__main__":
    run(export_model, snakemake)
