"""State dicts in whatever form they come: read as data only, and taken out of their wrappers."""

import pickle
import re
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from gauntlet.core.errors import GauntletError
from gauntlet.models.external.archives import require_sizes
from gauntlet.models.external.file_parts import choice_of, described, part_at
from gauntlet.models.external.safetensors import is_safetensors, read_safetensors

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params")
PREFIXES = ("module.", "_orig_mod.")  # of parallel and of compiled modules
DEPTH = 8  # wrappers within one another
ADVICE = (
    "save the weights alone, where you trust the file: torch.save(model.state_dict(), 'weights.pt')"
)
CAUSE = re.compile(r"WeightsUnpickler error:\s*(.*)")
GLOBAL = re.compile(r"(?:GLOBAL|global|class)\s+`?([\w.]+)")


def read_state(
    path: str, weights: int, key: str | int | None = None
) -> tuple[dict[str, Tensor], list[str]]:
    """Read a file's state dict: its tensors by name, and what was done to find them.

    `weights` are the bytes of the architecture's own weights, `key` says which of several parts of
    the file is meant. Raises GauntletError if the file is damaged, much larger than the weights,
    asks for code, holds no state dict or several, or has nothing under the key.
    """
    require_sizes(path, weights)
    content = read_safetensors(path) if is_safetensors(path) else _data(path)
    notes: list[str] = []
    if key is not None:
        content = _part(content, str(key), path)
        notes.append(f"weights_key: {key}")
    found = _unwrapped(content, path, notes)
    return _unprefixed(found, notes), notes


def _data(path: str) -> Any:
    """Load with PyTorch as data only."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, "cpu", weights_only=True)
    except Exception as error:  # a damaged pickle may raise anything
        raise GauntletError(f"{path} {_reason(path, error)}.") from error


def _reason(path: str, error: Exception) -> str:
    """Say why PyTorch does not load a file as data."""
    message = str(error)
    wanted = GLOBAL.search(message) if isinstance(error, pickle.UnpicklingError) else None
    if wanted:
        return (
            f"asks for code to be run ({wanted[1][:80]}), but weights are loaded as data only; "
            f"{ADVICE}"
        )
    if "TorchScript" in message:
        return "is a TorchScript file, no state dict; write arch: torchscript"
    with open(path, "rb") as stream:
        start = stream.read(2)
    if start[:1] == b"\x80" and start[1:] > b"\x02":
        return f"is a plain pickle, which torch.save did not write and which may be code; {ADVICE}"
    cause = CAUSE.search(message)
    what = (cause[1] if cause else message.partition("\n")[0]).strip()[:120].rstrip(".")
    return (
        f"is truncated, damaged or no file of weights ({type(error).__name__}: {what}); get the "
        "whole file again"
    )


def _part(content: Any, key: str, path: str) -> Any:
    """Give the part of a file at a key, which may begin inside its wrappers."""
    errors = []
    for level, _ in _levels(content):
        try:
            return part_at(level, key, path)
        except GauntletError as error:
            errors.append(error)
    raise errors[-1]


def _levels(content: Any) -> Iterator[tuple[Any, str]]:
    """Give a file's content and what lies in its wrappers, with a note on how each was reached."""
    yield content, ""
    for _ in range(DEPTH):
        if isinstance(content, list | tuple) and len(content) == 1:
            content, note = content[0], "the state dict is the one item of a list"
        elif isinstance(content, dict) and (key := _wrapper(content)) is not None:
            content, note = content[key], f"the state dict lies under '{key}'"
        else:
            return
        yield content, note


def _holds_tensors(content: Any) -> bool:
    return isinstance(content, dict) and any(map(torch.is_tensor, content.values()))


def _unwrapped(content: Any, path: str, notes: list[str]) -> dict[str, Tensor]:
    for level, note in _levels(content):
        content = level
        notes += [note] if note else []
    if _holds_tensors(content):
        return _tensors(content, notes)
    choice = f"; name the part that is meant by weights_key, such as {choice_of(content)}"
    raise GauntletError(
        f"{path} holds {described(content)}, where names with tensors are expected, alone or under "
        f"{', '.join(WRAPPERS[:4])}{choice if choice_of(content) else f'; {ADVICE}'}."
    )


def _wrapper(content: dict) -> str | None:
    """Give the name under which the weights lie; None where there is no such name, or no need."""
    if _holds_tensors(content):
        return None
    known = [key for key in WRAPPERS if isinstance(content.get(key), dict | list | tuple)]
    if known:
        return known[0]
    only = list(content)
    single = len(only) == 1 and isinstance(content[only[0]], dict | list | tuple)
    return only[0] if single and isinstance(only[0], str) else None


def _tensors(content: dict, notes: list[str]) -> dict[str, Tensor]:
    """Keep the tensors that have a name; the rest (epochs, settings) is left aside."""
    found = {
        key: value
        for key, value in content.items()
        if isinstance(key, str) and torch.is_tensor(value)
    }
    others = [repr(key)[:40] for key in content if key not in found]
    if others:
        notes.append(f"ignored, because they are not tensors: {', '.join(others[:8])}")
    return found


def _unprefixed(state: dict[str, Tensor], notes: list[str]) -> dict[str, Tensor]:
    for prefix in PREFIXES * 2:
        if state and all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
            notes.append(f"'{prefix}' before every name is left out")
    return state
