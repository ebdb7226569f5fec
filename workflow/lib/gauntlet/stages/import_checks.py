"""Checks of an external model on clean images, before it is used."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from gauntlet.core import scoring
from gauntlet.core.batched_model import BatchedModel, NonFiniteLogits
from gauntlet.core.errors import GauntletError
from gauntlet.models import evaluating

FEW = 256  # images on which other settings are tried
SHORT = 0.05  # accuracy below what is expected that gives a warning
GAIN = 0.1  # accuracy that other settings must gain to be named
NEAR = 0.1  # share of the way from chance to 1 that is no better than chance
NO_GRADIENT = (
    "no gradient flows from logits to images: gradient attacks cannot move, and only the audit, "
    "which attacks the model as a black box, says how robust it is"
)
RANGES = ([0, 1], [0, 255], [-1, 1])


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


def accuracy_warnings(
    accuracy: float, expected: float | None, classes: int, count: int
) -> Iterator[str]:
    """Say if accuracy on `count` clean images is near chance or well below what is expected."""
    chance = 1 / classes
    spread = 2 * (chance * (1 - chance) / count) ** 0.5
    shown = f"clean accuracy is {100 * accuracy:.1f} % on {count} validation images"
    if accuracy <= chance + max(NEAR * (1 - chance), spread):
        yield f"{shown}, near chance ({100 * chance:.1f} %): input settings are likely to be wrong"
    elif expected is not None and accuracy < expected - SHORT:
        yield f"{shown}, {100 * expected:.1f} % is expected: input settings may be wrong"


def better_settings(
    settings: dict, accuracy: float, measure: Callable[[dict], float], channels: int
) -> str | None:
    """Try other ranges and orders of channels: name those with which a model does much better."""
    best, named = accuracy + GAIN, None
    for change in _changes(settings, channels):
        found = measure(settings | change)
        if found > best:
            settings_text = ", ".join(f"{key}: {value}" for key, value in change.items())
            best, named = found, f"with {settings_text} it would be {100 * found:.1f} %"
    return named


def _changes(settings: dict, channels: int) -> Iterator[dict]:
    order = settings.get("channel_order", "rgb")
    orders = [order] if channels != 3 else [order, "bgr" if order == "rgb" else "rgb"]
    for turned in orders:
        for span in (settings.get("input_range", [0, 1]), *RANGES):
            yield {"input_range": span, "channel_order": turned}
