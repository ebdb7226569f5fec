"""How a network's weights, and by them the values between its layers, lie in memory."""

import torch
from torch import Tensor, nn

CHANNELS_LAST = "channels_last"
FORMATS = {"contiguous": torch.contiguous_format, CHANNELS_LAST: torch.channels_last}


def lay_out(model: nn.Module, name: str) -> None:
    """Lay a model's weights out in place, as `training.memory_format` says.

    PyTorch gives the results of a convolution the format of its weights [out, in, kh, kw].
    """
    if name != "contiguous":
        model.to(memory_format=FORMATS[name])


def plain_state(model: nn.Module) -> dict[str, Tensor]:
    """Give a copy of a model's state, every tensor contiguous, whatever the training's format."""
    return {
        name: value.detach().clone(memory_format=torch.contiguous_format)
        for name, value in model.state_dict().items()
    }
