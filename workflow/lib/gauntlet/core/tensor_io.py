"""Reading and writing of tensors, tables and records."""

import csv
import io
import json
import pickle
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from gauntlet.core.errors import GauntletError


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
            f"{path} is no readable file of weights ({_first_line(error)})."
        ) from error
    if not isinstance(state, dict) or not all(map(torch.is_tensor, state.values())):
        raise GauntletError(f"{path} must hold a state dict: names with tensors, nothing else.")
    return state


def load_array(path: str | Path) -> np.ndarray:
    """Open an .npy file as a read-only memory map; pickled content is refused."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise GauntletError(f"{path} is no readable .npy file ({_first_line(error)}).") from error


def write_rows(path: str | Path, columns: Iterable[str], rows: Iterable[dict]) -> None:
    """Write a CSV of the named columns; floats by their shortest exact text."""
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_json(path: str | Path, record: dict) -> None:
    """Write a record as JSON with sorted keys and indentation."""
    text = json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False)
    Path(path).write_text(text + "\n", encoding="utf-8")


def read_json(path: str | Path) -> dict:
    """Read a record; GauntletError if the file is no JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise GauntletError(f"{path} is no readable JSON file ({_first_line(error)}).") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
