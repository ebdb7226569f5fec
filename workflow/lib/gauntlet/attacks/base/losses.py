"""Objectives that attacks raise: each gives a value per image from logits [M, K] and labels [M]."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

DLR_LEAST, TARGETED_LEAST = 3, 4  # classes that the ratios need
TINY = 1e-12


def ce(logits: Tensor, labels: Tensor) -> Tensor:
    """Give the cross-entropy [M]; labels are classes [M] or probabilities [M, K]."""
    return cross_entropy(logits, labels, reduction="none")


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Give the highest other logit minus the label's [M]: above 0 the image is misclassified."""
    return others(logits, labels).amax(1) - picked(logits, labels)


def dlr(logits: Tensor, labels: Tensor) -> Tensor:
    """Give the difference of logits ratio [M], which does not depend on the scale of logits.

    Source: Croce & Hein 2020, "Reliable Evaluation of Adversarial Robustness with an Ensemble of
    Diverse Parameter-free Attacks". Needs 3 classes.
    """
    _require_classes(logits, DLR_LEAST, "dlr")
    top = logits.topk(3, dim=1).values
    return margin(logits, labels) / (top[:, 0] - top[:, 2] + TINY)


def targeted_dlr(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Give the targeted difference of logits ratio [M] (source as `dlr`). Needs 4 classes."""
    _require_classes(logits, TARGETED_LEAST, "dlr towards a class")
    top = logits.topk(4, dim=1).values
    spread = top[:, 0] - (top[:, 2] + top[:, 3]) / 2 + TINY
    return (picked(logits, targets) - picked(logits, labels)) / spread


def targeted_margin(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Give the target's logit minus the label's [M]."""
    return picked(logits, targets) - picked(logits, labels)


def likely_targets(state, most: int) -> Tensor:
    """Give the classes of highest clean logits beside the label, at most `most`: [N, T]."""
    logits, _ = state.judge(
        torch.arange(len(state.images), device=state.images.device), state.images
    )
    count = min(most, logits.shape[1] - 1)
    return others(logits, state.labels).topk(count, dim=1).indices


def others(logits: Tensor, labels: Tensor) -> Tensor:
    """Give the logits [M, K] with the label's at minus infinity."""
    return logits.scatter(1, labels[:, None], -torch.inf)


def picked(logits: Tensor, classes: Tensor) -> Tensor:
    """Give each row's logit of one class [M]."""
    return logits.gather(1, classes[:, None]).squeeze(1)


LOSSES: dict[str, Callable] = {"ce": ce, "margin": margin, "dlr": dlr}


def choose_loss(name: str) -> Callable:
    """Give the loss of a name; ValueError if there is none."""
    if name not in list(LOSSES):
        raise ValueError(f"loss is {name!r}; allowed are {', '.join(LOSSES)}")
    return LOSSES[name]


def _require_classes(logits: Tensor, least: int, name: str) -> None:
    if logits.shape[1] < least:
        raise ValueError(
            f"loss is {name}, which needs {least} classes or more; the model has "
            f"{logits.shape[1]}: use margin"
        )
