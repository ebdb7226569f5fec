"""Preprocessing and batching around a network from a file."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from gauntlet.core.errors import GauntletError

PROBES = (3, 5)  # images of the batch that is tried: a number that no network is fixed to
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)  # tried where a file does not say its own


class FlipChannels(nn.Module):
    """Turn red, green, blue into blue, green, red."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flip(1)


class Resize(nn.Module):
    """Bring images [N, C, H, W] to another height and width, bilinearly."""

    def __init__(self, size: tuple[int, int]):
        super().__init__()
        self.size = size

    def forward(self, images: Tensor) -> Tensor:
        return interpolate(images, self.size, mode="bilinear", align_corners=False)


class Held(nn.Module):
    """A network that is only called: no mode, parameter or state of it is touched from outside.

    Exported programs refuse `eval`, and sessions of other engines have nothing of a module. With
    `gradients` false nothing flows back.
    """

    def __init__(self, network: Callable[[Tensor], Tensor], gradients: bool = True):
        super().__init__()
        self._held, self.gradients = [network], gradients
        if isinstance(network, nn.Module):
            for weight in network.parameters():
                weight.requires_grad_(False)

    def _apply(self, fn, recurse=True):
        if isinstance(self._held[0], nn.Module):
            self._held[0]._apply(fn)
        return super()._apply(fn, recurse)

    def forward(self, images: Tensor) -> Tensor:
        with torch.set_grad_enabled(self.gradients and torch.is_grad_enabled()):
            return self._held[0](images)


class FixedBatches(nn.Module):
    """Show a network that takes `size` images at a time any number of them."""

    def __init__(self, network: nn.Module, size: int):
        super().__init__()
        self.network, self.size = network, size

    def forward(self, images: Tensor) -> Tensor:
        missing = -len(images) % self.size
        whole = torch.cat([images, images[:1].expand(missing, *images.shape[1:])])
        parts = [self.network(part) for part in whole.split(self.size)]
        return torch.cat(parts)[: len(images)]


def any_batch(
    network: nn.Module, shape: tuple[int, int, int], size: int | None, name: str
) -> nn.Module:
    """Give a network that takes batches of any size, from one that may take only one size.

    `size` is what the file says, if it does. Raises GauntletError if images of `shape` (C, H, W)
    cannot be shown to it.
    """
    reason = _tried(network, shape, PROBES[size == PROBES[0]])
    if reason is None:
        return network
    for count in SIZES if size is None else (size, 1):
        if _tried(network, shape, count) is None:
            return FixedBatches(network, count)
    raise GauntletError(
        f"{name} cannot be shown images of {'x'.join(map(str, shape))} ({reason}); set input_size, "
        "or use data of the shape that it takes."
    )


def _tried(network: nn.Module, shape: tuple[int, int, int], count: int) -> str | None:
    """Show a network some images: why it failed, or None."""
    try:
        with torch.no_grad():
            logits = network(torch.zeros(count, *shape))
    except GauntletError:
        raise
    except Exception as error:  # whatever a file's own code raises
        return first_line(error)
    if not isinstance(logits, Tensor) or len(logits) != count:
        return "it gives no row of values for each image"
    return None


def first_line(error: BaseException) -> str:
    """Give the line of an error that says what went wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    own = [line for line in lines if not line.startswith(("Traceback", "File ", "The following"))]
    return (own[-1 if lines != own else 0] if own else type(error).__name__)[:200].rstrip(".")
