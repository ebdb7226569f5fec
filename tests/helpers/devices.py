"""Devices that a test machine does not have."""

import torch


class _OnMps(torch.Tensor):
    @property
    def device(self) -> torch.device:
        return torch.device("mps")


def on_mps(tensor: torch.Tensor) -> torch.Tensor:
    """Give a tensor that says it lies on an Apple machine's mps."""
    return tensor.as_subclass(_OnMps)
