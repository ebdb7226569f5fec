"""Images that nothing has broken yet: what the rerun's attacks work on."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.image_rng import Streams
from gauntlet.core.rng import fixed_draws
from gauntlet.core.threat_models import admissible

HALF = 0.5  # of the passes that an example must fool, of a model that answers differently each time


@dataclass(frozen=True)
class Threat:
    """What an attack may do: norm and eps."""

    norm: str
    eps: float


class Survivors:
    """A model under attack by one means after the other.

    `examples` [N, C, H, W] are those that break their image where `success` bool [N], else the
    images; `by` [N] is the place of the means in `names`, -1 for none. `passes` is how often an
    example is shown to a model that answers differently each time: it must fool half of them.
    """

    def __init__(
        self,
        model: Callable,
        images: Tensor,
        labels: Tensor,
        index: Tensor,
        threat: Threat,
        batch: int,
        seed: int,
        passes: int = 1,
    ):
        self.model, self.images, self.labels, self.index = model, images, labels, index
        self.threat, self.seed, self.passes, self.names = threat, seed, passes, []
        self.batched = BatchedModel(model, batch)
        self.examples, self.by = images.clone(), torch.full_like(labels, -1)
        with fixed_draws(seed, "rerun", "clean"):
            self.right = self.batched(images).argmax(1) == labels
        self.success = torch.zeros_like(self.right)
        self.forwards, self.backwards = labels * 0, labels * 0
        self.success_query = labels * 0

    def rows(self) -> Tensor:
        """Give the rows [M] that are right and not broken."""
        return (self.right & ~self.success).nonzero().squeeze(1)

    def streams(self, rows: Tensor, name: str) -> Streams:
        """Give the random streams of some rows for one means."""
        return Streams.of_images(self.seed, self.index[rows.cpu()], "rerun", name)

    def offer(self, name: str, rows: Tensor, examples: Tensor, result=None) -> int:
        """Judge a means' examples [M, C, H, W] in float32 on the model itself; count successes."""
        self.names += [] if name in self.names else [name]
        if result is not None:
            self.forwards[rows] += result.forwards
            self.backwards[rows] += result.backwards
        broken = self._fooled(examples, rows) >= HALF
        broken &= admissible(examples, self.images[rows], self.threat.norm, self.threat.eps)
        broken &= self.right[rows] & ~self.success[rows]
        kept = rows[broken]
        self.examples[kept], self.success[kept] = examples[broken], True
        self.by[kept] = self.names.index(name)
        self.success_query[kept] = self.forwards[kept].clamp(min=1)
        return int(broken.sum())

    def _fooled(self, examples: Tensor, rows: Tensor) -> Tensor:
        """Give the share of passes in which examples are misclassified: [M]."""
        total = torch.zeros(len(rows), device=examples.device)
        for number in range(self.passes):
            with fixed_draws(self.seed, "rerun", "judge", number):
                total += self.batched(examples).argmax(1) != self.labels[rows]
        return total / self.passes
