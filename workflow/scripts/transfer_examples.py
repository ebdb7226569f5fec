"""Show one model the examples that were made against another."""

from gauntlet.runtime.job import run


def transfer_examples(images, labels, meta, split, weights, draws, ledger, *, spec):
    """Write the ledger of another model's examples (full strength, never frozen) on this model.

    If there are no examples, or the model fails on them, the ledger says why, and so does what is
    given back.
    """
    import torch

    from gauntlet.core import records, tensor_io
    from gauntlet.core.device import prepare
    from gauntlet.core.errors import GauntletError
    from gauntlet.evaluation.failures import is_missing
    from gauntlet.models import evaluating
    from gauntlet.stages import failure, inputs
    from gauntlet.stages.craft import EvalImages
    from gauntlet.stages.judge import COLUMNS
    from gauntlet.stages.judge import ledger as judged

    device = prepare(spec)
    eval_images = EvalImages(*inputs.load_part(images, labels, meta, split, spec["part"], device))
    saved = tensor_io.load_array(draws)
    if is_missing(saved):
        none = GauntletError("the attack on the model that they are made against failed")
        return failure.instead_of_ledger(none, spec, eval_images, ledger, access="transfer")
    if len(saved) != len(eval_images.index) * len(spec["points"]):
        raise GauntletError(
            f"{draws} holds {len(saved)} examples for {len(eval_images.index)} images; an attack "
            f"that is transferred must have loss_draws of 1 or more."
        )
    model = inputs.trained_model(spec, meta, weights).to(device)
    with evaluating(model):
        hostile = torch.tensor(saved).to(device).unflatten(0, (len(spec["points"]), -1))
        try:
            rows = list(judged(model, spec, eval_images, hostile, "transfer"))
        except Exception as error:
            return failure.instead_of_ledger(error, spec, eval_images, ledger, access="transfer")
        records.write_rows(ledger, COLUMNS, rows)
    return None


if __name__ == "__main__":
    run(transfer_examples, snakemake)
