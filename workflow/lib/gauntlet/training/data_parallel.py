"""Who computes what of a batch: one process all of it, or each of several processes a part.

Several processes give what one gives but for the order of sums: random numbers are drawn for the
whole batch, batch norm takes the whole batch's statistics, and gradients are averaged by the
number of images. Only dropout draws for each part.
"""

from collections.abc import Callable

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from gauntlet.core.rng import Shared, seed_for
from gauntlet.training.sync_batch_norm import CommonStatistics

Losses = Callable[..., tuple[Tensor, Tensor]]


class SingleProcess:
    """One process computes whole batches."""

    main = True  # whether this process is the one that saves

    def losses(self, step: nn.Module) -> Losses:
        """Give what makes of a batch (loss to go back from, the batch's mean loss)."""

        def whole(*batch) -> tuple[Tensor, Tensor]:
            loss = step(*batch)
            return loss, loss.detach()

        return whole

    def rows(self, count: int) -> slice:
        """Give the rows of `count` that this process computes."""
        return slice(0, count)

    def joined(self, mine: Tensor, count: int) -> Tensor:
        """Give all processes' bits [count] from each one's bits of its rows."""
        return mine

    def asked(self, number: int) -> int:
        """Agree on the signal that asked to stop: 0 if none did."""
        return number

    def seed_layers(self, seed: int, epoch: int, batch: int) -> None:
        """Let layers that draw (dropout) draw what belongs to the epoch."""
        if batch == 0:
            torch.manual_seed(seed_for(seed, "layers", epoch))


class DataParallel:
    """One of `size` processes that share every batch; `told` gives a signal from outside, or 0."""

    def __init__(self, rank: int, size: int, told: Callable[[], int] = int):
        self.rank, self.size, self.told = rank, size, told
        self.main = rank == 0
        self.control = distributed.new_group(backend="gloo")  # for what lives on the CPU

    def losses(self, step: nn.Module) -> Losses:
        """Give what makes of a whole batch (loss of this part, the whole batch's mean loss).

        Gradients of the first are averaged over the processes, whence its factor. No layout of
        buckets changes after the first batch, so that a stopped training goes on to the same bits.
        """
        shared = DistributedDataParallel(
            step, forward_sync_buffers=False, find_unused_parameters=True
        )

        def part(images: Tensor, labels: Tensor, crafted, stream, done: float):
            count = len(images)
            rows = self.rows(count)
            weight = 0.0 if self._idle(count) else len(labels[rows]) / count
            given = None if crafted is None else crafted[rows]
            with CommonStatistics(counted=weight > 0):
                draws = Shared(stream, rows, count)
                loss = shared(images[rows], labels[rows], given, draws, done)
            mean = loss.detach() * weight
            distributed.all_reduce(mean)
            return loss * (weight * self.size), mean

        return part

    def rows(self, count: int) -> slice:
        """Give the rows of `count` that this process computes: the first one if it has none."""
        if self._idle(count):
            return slice(0, 1)
        return slice(*self._ends(count))

    def joined(self, mine: Tensor, count: int) -> Tensor:
        """Give all processes' bits [count] from each one's bits of its rows."""
        whole = torch.zeros(count, dtype=torch.int32, device=mine.device)
        if not self._idle(count):
            whole[self.rows(count)] = mine.int()
        distributed.all_reduce(whole)
        return whole > 0

    def asked(self, number: int) -> int:
        """Agree on the signal that asked one of the processes to stop: 0 if none did."""
        found = torch.tensor(number or self.told())
        distributed.all_reduce(found, distributed.ReduceOp.MAX, group=self.control)
        return int(found)

    def seed_layers(self, seed: int, epoch: int, batch: int) -> None:
        """Let layers that draw (dropout) draw what belongs to the batch and this part of it."""
        torch.manual_seed(seed_for(seed, "layers", epoch, batch, self.rank))

    def _idle(self, count: int) -> bool:
        begin, end = self._ends(count)
        return begin == end

    def _ends(self, count: int) -> tuple[int, int]:
        return self.rank * count // self.size, (self.rank + 1) * count // self.size
