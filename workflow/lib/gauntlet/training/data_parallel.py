"""How a batch is divided: one process computes all of it, or each of several computes a part.

Several processes give the same result as one, except for the order of sums: random numbers are
drawn for the whole batch, batch norm uses the whole batch's statistics, and gradients are averaged
with the number of images as weight. Only dropout draws its numbers for each part.
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

    main = True  # only the main process saves

    def losses(self, step: nn.Module) -> Losses:
        """Give a function of a batch: the loss for the backward pass, and the batch's mean loss."""

        def whole(*batch) -> tuple[Tensor, Tensor]:
            loss = step(*batch)
            return loss, loss.detach()

        return whole

    def rows(self, count: int) -> slice:
        """Give the rows of `count` that this process computes."""
        return slice(0, count)

    def joined(self, mine: Tensor, count: int) -> Tensor:
        """Collect booleans [count] from all processes; `mine` are those of this one's rows."""
        return mine

    def summed(self, mine: Tensor) -> Tensor:
        """Sum a small tensor over all processes."""
        return mine

    def asked(self, number: int) -> int:
        """Give the number of the signal that asks to stop, 0 if there is none."""
        return number

    def seed_layers(self, seed: int, epoch: int, batch: int) -> None:
        """Seed the layers that draw random numbers (dropout), once for each epoch."""
        if batch == 0:
            torch.manual_seed(seed_for(seed, "layers", epoch))


class DataParallel:
    """One of `size` processes that share every batch; `signal` gives the one received, or 0."""

    def __init__(self, rank: int, size: int, signal: Callable[[], int] = int):
        self.rank, self.size, self.signal = rank, size, signal
        self.main = rank == 0
        self.control = distributed.new_group(backend="gloo")  # for tensors on the CPU

    def losses(self, step: nn.Module) -> Losses:
        """Give a function of a whole batch: the loss of this part, and the batch's mean loss.

        The first has a factor, because its gradients are averaged over the processes. The layout
        of the gradient buckets stays as it is after the first batch: a training that was stopped
        and resumed gives the same bits.
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
        """Give the rows of `count` that this process computes; the first row if it has none."""
        if self._idle(count):
            return slice(0, 1)
        return slice(*self._ends(count))

    def joined(self, mine: Tensor, count: int) -> Tensor:
        """Collect booleans [count] from all processes; `mine` are those of this one's rows."""
        whole = torch.zeros(count, dtype=torch.int32, device=mine.device)
        if not self._idle(count):
            whole[self.rows(count)] = mine.int()
        distributed.all_reduce(whole)
        return whole > 0

    def summed(self, mine: Tensor) -> Tensor:
        """Sum a small tensor over all processes."""
        whole = mine.clone()
        distributed.all_reduce(whole)
        return whole

    def asked(self, number: int) -> int:
        """Give the signal that asks any of the processes to stop, 0 if there is none."""
        found = torch.tensor(number or self.signal())
        distributed.all_reduce(found, distributed.ReduceOp.MAX, group=self.control)
        return int(found)

    def seed_layers(self, seed: int, epoch: int, batch: int) -> None:
        """Seed the layers that draw random numbers (dropout), for this part of the batch."""
        torch.manual_seed(seed_for(seed, "layers", epoch, batch, self.rank))

    def _idle(self, count: int) -> bool:
        begin, end = self._ends(count)
        return begin == end

    def _ends(self, count: int) -> tuple[int, int]:
        return self.rank * count // self.size, (self.rank + 1) * count // self.size
