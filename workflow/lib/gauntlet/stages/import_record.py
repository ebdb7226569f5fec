"""The record of an import, in the place of a training's record."""

import logging

from torch import Tensor, nn

from gauntlet.core.errors import GauntletError
from gauntlet.stages import import_accuracy, import_agreement, import_checks, import_steadiness
from gauntlet.stages.import_model import Imported
from gauntlet.study.matrix import AS_GIVEN

logger = logging.getLogger(__name__)


def report(
    spec: dict,
    given: Imported,
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    classes: int,
) -> dict:
    """Check a model, as it was saved, on clean images [N, C, H, W] with labels [N].

    Warnings go to the log and the terminal, and with the record into the tables. Raises
    GauntletError if the model cannot be attacked at all.
    """
    settings, name = spec["model"], spec["name"]
    shown = f"The model '{spec['called']}' ({name})" if "called" in spec else name
    import_checks.require_answers(model, images, classes, shown)
    accuracy = import_checks.clean_accuracy(model, images, labels, spec["batch"])
    notes = [*given.notes, *_agreement(settings, given, model, images, name)]
    warnings = given.warnings + import_steadiness.steadiness_warnings(model, images, name)
    warnings += _accuracy(spec, given, accuracy, images, labels, classes)
    if settings.get("gradients", True):
        seen = (model, images, labels, spec["batch"], shown)
        warnings += import_checks.gradient_warnings(*seen, spec.get("audited", False))
    for note in notes:
        logger.info("%s: %s", name, note)
    logger.info("%s: clean accuracy %.4g on %d validation images", name, accuracy, len(labels))
    for warning in warnings:
        logger.warning("%s: %s", name, warning)
    return {
        "selection": AS_GIVEN,
        "rule": f"as given in {name}",
        "selected_epoch": None,
        "epochs": 0,
        "validation_clean": accuracy,
        "validation_robust": None,
        "expected_clean_accuracy": spec["expected_clean_accuracy"],
        "file": {"name": name, "sha256": given.sha256, "arch": settings["arch"]},
        "notes": notes,
        "warnings": warnings,
    }


def _agreement(
    settings: dict, given: Imported, model: nn.Module, images: Tensor, name: str
) -> list[str]:
    """Hold a model against its file's own engine, where it has one, on the images themselves."""
    if given.reference is None:
        return []
    try:
        note = import_agreement.require_agreement(
            model, given.reference, images, "validation images", given.content, settings
        )
    except GauntletError as error:
        raise GauntletError(f"{name} cannot be used: {error}") from error
    return [note]


def _accuracy(
    spec: dict, given: Imported, accuracy: float, images: Tensor, labels: Tensor, classes: int
) -> list[str]:
    """Say what is wrong with clean accuracy, and which other settings would be better."""
    expected = spec["expected_clean_accuracy"]
    warnings = list(import_accuracy.accuracy_warnings(accuracy, expected, classes, len(labels)))
    if not warnings or given.rebuild is None:
        return warnings
    few = slice(0, import_accuracy.FEW)

    def measure(settings: dict) -> float:
        model = given.rebuild(settings).to(images.device)
        return import_checks.clean_accuracy(model, images[few], labels[few], spec["batch"])

    better = import_accuracy.better_settings(spec["model"], accuracy, measure, images.shape[1])
    return [f"{warnings[0]} ({better})" if better else warnings[0]]
