"""Reading and writing of tensors and arrays."""

import io
import pickle
from pathlib import Path

import numpy as np
import torch

from gauntlet.core.errors import GauntletError
from gauntlet.core.records import first_line


def save_state(state: dict[str, torch.Tensor], path: str | Path) -> None:
    """Write a state dict; the same tensors give the same bytes whatever the file's name."""
    buffer = io.BytesIO()
    torch.save(
        {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}, buffer
    )
    Path(path).write_bytes(buffer.getvalue())


def load_state(path: str | Path) -> dict[str, torch.Tensor]:
    """Read a state dict as data only.

    Raises GauntletError for a file that is damaged or holds anything but tensors.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise GauntletError(
            f"{path} is no readable file of weights ({first_line(error)})."
        ) from error
    if not isinstance(state, dict) or not all(map(torch.is_tensor, state.values())):
        raise GauntletError(f"{path} must hold a state dict: names with tensors, nothing else.")
    return state


def load_array(path: str | Path) -> np.ndarray:
    """Open an .npy file as a read-only memory map; pickled content is refused."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise GauntletError(f"{path} is no readable .npy file ({first_line(error)}).") from error
