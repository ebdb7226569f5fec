"""What a defense keeps from batch to batch."""

import torch
from torch import Tensor


class Memory:
    """Named tensors that a defense keeps between batches; a checkpoint holds them."""

    def __init__(self):
        self._kept: dict[str, Tensor] = {}

    def recall(self, name: str, like: Tensor) -> Tensor:
        """Give the kept tensor in the shape of another, rows that it lacks as zeros."""
        found, kept = torch.zeros_like(like), self._kept.get(name)
        if kept is not None:
            rows = min(len(like), len(kept))
            found[:rows] = kept[:rows].to(found)
        return found

    def keep(self, name: str, value: Tensor) -> None:
        """Keep a tensor; if it has fewer rows than the kept one, the other rows stay."""
        kept = self._kept.get(name)
        value = value.detach()
        if kept is not None and len(kept) > len(value):
            value = torch.cat([value, kept[len(value) :].to(value)])
        self._kept[name] = value

    def state_dict(self) -> dict[str, Tensor]:
        """Give what is kept, by name."""
        return dict(self._kept)

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Keep what another memory kept."""
        self._kept = dict(state)
