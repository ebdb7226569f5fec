"""Common corruptions: changes of an image that happen without an adversary."""

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from gauntlet.attacks.base.corruption_ops import CORRUPTIONS, corrupt
from gauntlet.attacks.base.entry import attack
from gauntlet.attacks.base.losses import ce
from gauntlet.attacks.base.state import AttackState
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import AttackResult

THREAT, SIZE = "corruptions", "severity"
GRADIENT_FREE = True
FORWARDS = "len(names) if names else 15"


@attack
def corruptions(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    streams: Streams,
    names: Sequence[str] | None = None,
    severity: int = 3,
) -> AttackResult:
    """Try the named corruptions (all, without names) in turn, until one is misclassified.

    Sources: Hendrycks & Dietterich 2019, "Benchmarking Neural Network Robustness to Common
    Corruptions and Perturbations"; Mu & Gilmer 2019, "MNIST-C". Shapes: images [N, C, H, W] float32
    in [0, 1], labels [N] int64; `severity` from 1 to 5. Raises ValueError for an unknown name or
    severity.
    """
    chosen = members({"names": names})
    unknown = [name for name in chosen if name not in CORRUPTIONS]
    if unknown or severity not in (1, 2, 3, 4, 5):
        problem = f"names holds {unknown[0]!r}" if unknown else f"severity is {severity!r}"
        raise ValueError(f"{problem}; allowed are {', '.join(CORRUPTIONS)}, and severities 1 to 5")
    state, by = AttackState(model, images, labels), torch.full_like(labels, -1)
    for number, name in enumerate(chosen):
        rows = state.active()
        if len(rows) == 0:
            break
        truth = labels[rows]
        corrupted = corrupt(images[rows], name, severity, streams.select(rows))
        state.judge(rows, corrupted, lambda logits, places, truth=truth: ce(logits, truth[places]))
        by[rows[state.success[rows]]] = number
    return dataclasses.replace(state.result(), success_by=by, members=chosen)


def members(settings: dict) -> tuple[str, ...]:
    """Name the corruptions in the order of `AttackResult.success_by`."""
    return tuple(settings.get("names") or CORRUPTIONS)
