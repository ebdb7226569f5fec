"""A network in a TorchScript file, as `torch.jit.save` writes it."""

import io
import warnings
import zipfile

import torch
from torch import Tensor, nn

from gauntlet.core.errors import GauntletError
from gauntlet.models._frames import Held, any_batch, first_line
from gauntlet.models._train_mode import require_script_in_eval_mode


def torchscript(
    shape: tuple[int, int, int], classes: int, *, artefact: bytes, gradients: bool = True
) -> nn.Module:
    """Load a TorchScript network for images of `shape` (C, H, W) from a file's content.

    The file holds a program in PyTorch's own small language. Raises GauntletError if it is none,
    was traced in train mode, or cannot take such images.
    """
    if not any(name.endswith("constants.pkl") for name in _names(artefact)):
        raise GauntletError(
            "it is no TorchScript file, as torch.jit.save writes it; a state dict is read by "
            "naming its architecture as arch."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", FutureWarning
            )  # PyTorch warns that torch.jit is deprecated
            script = torch.jit.load(io.BytesIO(artefact), map_location="cpu")
    except (RuntimeError, ValueError, UnicodeError, EOFError) as error:
        raise GauntletError(f"it cannot be read as TorchScript ({first_line(error)}).") from error
    require_script_in_eval_mode(script.eval())
    return any_batch(Held(Script(script), gradients), shape, None, "the network")


class Script(nn.Module):
    """A script that is run as it is: rewritten while it runs, it would give other last bits."""

    def __init__(self, script: nn.Module):
        super().__init__()
        self.script = script

    def forward(self, images: Tensor) -> Tensor:
        with torch.jit.optimized_execution(False):
            return self.script(images)


def _names(artefact: bytes) -> list[str]:
    try:
        with zipfile.ZipFile(io.BytesIO(artefact)) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise GauntletError(f"it is damaged or no TorchScript file ({error}).") from error
