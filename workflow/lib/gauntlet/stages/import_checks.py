"""Checks of an external model on clean images, before it is used."""

import torch
from torch import Tensor, nn

from gauntlet.core import scoring
from gauntlet.core.batched_model import BatchedModel, NonFiniteLogits
from gauntlet.core.errors import GauntletError
from gauntlet.models import evaluating

NO_GRADIENT = (
    "no gradient flows from logits to images: gradient attacks cannot move, and only the audit, "
    "which attacks the model as a black box, says how robust it is"
)


def require_answers(model: nn.Module, images: Tensor, classes: int, name: str) -> None:
    """Raise GauntletError unless a model gives one finite value per class for each image."""
    with evaluating(model), torch.no_grad():
        logits = model(images[:2])
    found = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if found != [len(images[:2]), classes]:
        raise GauntletError(
            f"{name} answers {len(images[:2])} images with {found}; the data have {classes} "
            f"classes, so that [{len(images[:2])}, {classes}] is allowed."
        )


def clean_accuracy(model: nn.Module, images: Tensor, labels: Tensor, batch: int) -> float:
    """Measure accuracy on clean images; GauntletError if a model's logits are not finite."""
    with evaluating(model):
        try:
            right = scoring.predict(BatchedModel(model, batch), images) == labels
        except NonFiniteLogits as error:
            raise GauntletError(f"The model cannot be used: {error}") from error
    return round(float(right.float().mean()), 6)


def gradient_warnings(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    batch: int,
    name: str,
    audited: bool = False,
) -> list[str]:
    """Say what is wrong with the gradients at some images; GauntletError if there are none.

    A model without any is no error if it is `audited`: the audit attacks it as a black box.
    """
    some, truth = images[:batch], labels[:batch]
    with evaluating(model):
        if not _differentiable(model, some[:1]):
            if audited:
                return [NO_GRADIENT]
            raise GauntletError(
                f"{name} lets no gradient flow from its logits to its images; set gradients: false "
                "to attack it without, or audit: true in its study, which attacks it as a black "
                "box."
            )
        slopes, _, _ = BatchedModel(model, batch).gradient(
            some, lambda logits, rows: _lead(logits, truth[rows])
        )
    finite = slopes.isfinite().flatten(1).all(1)
    warnings = []
    if not bool(finite.all()):
        warnings.append(f"gradients of {int((~finite).sum())} of {len(some)} images are not finite")
    if bool((slopes == 0).all()):
        warnings.append(f"gradients of all {len(some)} images are zero: gradient attacks fail")
    return warnings


def _differentiable(model: nn.Module, image: Tensor) -> bool:
    with torch.enable_grad():
        return model(image.clone().requires_grad_(True)).requires_grad


def _lead(logits: Tensor, labels: Tensor) -> Tensor:
    """Give the true class's lead over the mean of all [N]: it never saturates, as losses do."""
    return logits.gather(1, labels[:, None]).squeeze(1) - logits.mean(1)
