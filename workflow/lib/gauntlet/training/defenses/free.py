"""Free adversarial training: one backward pass gives the update and the next step."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gauntlet.training.memory import Memory

SINGLE_STEP = ONE_PROCESS = SOFT_LABELS = True
FORWARDS = UPDATES = "replays"


def free(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    memory: Memory,
    size: float,
    eps: float,
    replays: int = 8,
) -> Tensor:
    """Give the cross-entropy on x + d; its backward pass takes d one step of eps further.

    Source: Shafahi et al. 2019, "Adversarial Training for Free!": every batch is shown `replays`
    times, with an update each; d stays in the linf ball of radius eps and goes on from batch to
    batch. Images [N, C, H, W], labels [N]; `eps` in the images' unit. For the cost of plain
    training, divide its epochs by `replays`. The gradient is that of the update, in train mode.
    """
    radius = eps * size
    change = memory.recall("change", images).clamp(-radius, radius).requires_grad_()

    def step(gradient: Tensor) -> None:
        moved = change.detach() + radius * gradient.sign()
        memory.keep("change", moved.clamp(-radius, radius))

    change.register_hook(step)
    return cross_entropy(model((images + change).clamp(0, 1)), labels)
