"""Objectives that attacks climb: each gives a value per image from logits [M, K] and labels [M]."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

LEAST_CLASSES = {"ce": 2, "margin": 2, "dlr": 3}
TARGETED_LEAST = 4
TINY = 1e-12


def ce(logits: Tensor, labels: Tensor) -> Tensor:
    """Give the cross-entropy [M]; labels are classes [M] or probabilities [M, K]."""
    return cross_entropy(logits, labels, reduction="none")


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Give the highest other logit minus the label's [M]: above 0 the image is misclassified."""
    return others(logits, labels).amax(1) - picked(logits, labels)


def dlr(logits: Tensor, labels: Tensor) -> Tensor:
    """Give the difference of logits ratio [M], which knows no scale.

    Source: Croce & Hein 2020, "Reliable Evaluation of Adversarial Robustness with an Ensemble of
    Diverse Parameter-free Attacks". Needs 3 classes.
    """
    top = logits.topk(3, dim=1).values
    return margin(logits, labels) / (top[:, 0] - top[:, 2] + TINY)


def targeted_dlr(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Give the targeted difference of logits ratio [M] (source as `dlr`). Needs 4 classes."""
    top = logits.topk(4, dim=1).values
    spread = top[:, 0] - (top[:, 2] + top[:, 3]) / 2 + TINY
    return (picked(logits, targets) - picked(logits, labels)) / spread


def targeted_margin(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Give the target's logit minus the label's [M]."""
    return picked(logits, targets) - picked(logits, labels)


def class_count(state) -> int:
    """Ask the model for its number of classes, with one image."""
    return state.batched(state.images[:1]).shape[1]


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


def choose_loss(name: str, classes: int) -> Callable:
    """Give the loss of a name; ValueError if there is none or it needs more classes."""
    if name not in LOSSES:
        raise ValueError(f"loss is {name!r}; allowed are {', '.join(LOSSES)}")
    if classes < LEAST_CLASSES[name]:
        raise ValueError(
            f"loss is {name!r}, which needs {LEAST_CLASSES[name]} classes or more; the model has "
            f"{classes}: use ce or margin"
        )
    return LOSSES[name]
