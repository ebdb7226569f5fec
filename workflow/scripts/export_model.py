"""Write a model in the forms that other programs read."""

from gauntlet.runtime.job import run


def export_model(meta, weights, torchscript, exported, onnx, *, spec):
    """Write three files, each of which takes any number of images in [0, 1] and gives logits."""
    from gauntlet.core import device, records
    from gauntlet.models.external import exporting
    from gauntlet.stages import inputs

    device.prepare(spec)
    model = inputs.trained_model(spec, meta, weights).eval().requires_grad_(False)
    shape = tuple(records.read_json(meta)["shape"])
    exporting.save_torchscript(model, shape, torchscript)
    exporting.save_exported(model, shape, exported)
    exporting.save_onnx(model, shape, onnx)


if __name__ == "__main__":
    run(export_model, snakemake)
