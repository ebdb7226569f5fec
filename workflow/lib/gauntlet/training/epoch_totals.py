"""What the batches of an epoch add up to."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from gauntlet.training.catastrophic_overfitting import TURN
from gauntlet.training.step import Update

RECENT = 0.9  # decay, by batch, of the mean of the watched cosines


class EpochTotals:
    """Mean loss and watched cosine of an epoch, and the batch in which a collapse begins.

    `history` are the rows of the epochs before. The loss is summed on the device, so that a batch
    waits for it only where cosines are watched.
    """

    def __init__(self, device: torch.device, history: Sequence[dict], watching: bool):
        found = [row["gradient_cosine"] for row in history] if watching else []
        known = [cosine for cosine in found if not math.isnan(cosine)]  # no example, no cosine
        self.best, self.watching = max(known, default=float("nan")), watching
        self.loss = torch.zeros((), device=device)
        self.cosines, self.begins, self.images = torch.zeros(2), 0, 0
        self.recent = known[-1] if known else float("nan")

    def add(self, batch: int, images: int, found: Update) -> None:
        """Take in the update of a batch of images; batches are counted from 1."""
        self.loss += found.loss * images
        self.images += images
        if not self.watching:
            return
        cosines = found.cosines.cpu()
        if not cosines[1]:
            return
        self.cosines += cosines
        self.recent = RECENT * self.recent + (1 - RECENT) * float(cosines[0] / cosines[1])
        if not self.begins and self.recent < TURN * self.best:
            self.begins = batch

    def row(self) -> dict:
        """Give the epoch's columns of the history."""
        row = {"train_loss": round(float(self.loss) / self.images, 6)}
        if self.watching:
            mean = round(float(self.cosines[0] / self.cosines[1]), 6)
            row |= {"gradient_cosine": mean, "collapse_begins": self.begins}
        return row

    def state(self) -> dict[str, Tensor | float | int]:
        """Give what a checkpoint holds."""
        kept = ("loss", "images", "cosines", "recent", "begins")
        return {name: getattr(self, name) for name in kept}

    def resume(self, state: dict) -> None:
        """Go on from the state of a checkpoint."""
        device = self.loss.device
        for name, value in state.items():
            setattr(self, name, value)
        self.loss = self.loss.to(device)
