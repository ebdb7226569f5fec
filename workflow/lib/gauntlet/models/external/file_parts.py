"""The parts of a file that holds several state dicts: what they are, and the one that is meant."""

from collections.abc import Iterator
from typing import Any

import torch

from gauntlet.core.errors import GauntletError

SHOWN, LETTERS = 6, 40  # parts that a message names, and letters of each name


def described(content: Any) -> str:
    """Say what a file holds, one level deep."""
    if not isinstance(content, dict | list | tuple):
        return f"{type(content).__name__}"
    if not content:
        return "a mapping with nothing" if isinstance(content, dict) else "an empty list"
    shown = ", ".join(f"{_name(key)}{_kind(part)}" for key, part in list(_parts(content))[:SHOWN])
    more = f" and {len(content) - SHOWN} more" if len(content) > SHOWN else ""
    kind = "a mapping with" if isinstance(content, dict) else f"a list of {len(content)}:"
    return f"{kind} {shown}{more}"


def choice_of(content: Any) -> str:
    """Give a key whose part is a state dict; "" if there is none."""
    if not isinstance(content, dict | list | tuple):
        return ""
    return next((str(key)[:LETTERS] for key, part in _parts(content) if _is_state(part)), "")


def part_at(content: Any, key: str, path: str) -> Any:
    """Give the part of a file at a path of names and numbers, such as `0` or `ema.model`.

    A name may have dots itself, and may be the beginning of the names in a state dict. Raises
    GauntletError that says what the file holds if nothing is there.
    """
    found, left = content, key
    while left:
        step = _step(found, left)
        if step is None:
            raise GauntletError(
                f"{path} has nothing at weights_key {key!r:.80}; where {left!r:.80} is looked for, "
                f"it holds {described(found)}."
            )
        found, left = step
    return found


def _step(content: Any, key: str) -> tuple[Any, str] | None:
    """Go one step along a key: what is found, and what is left of the key."""
    parts = key.split(".")
    if isinstance(content, list | tuple):
        first = parts[0]
        fits = first.isascii() and first.isdigit() and int(first) < len(content)
        return (content[int(first)], ".".join(parts[1:])) if fits else None
    if not isinstance(content, dict):
        return None
    for count in range(len(parts), 0, -1):
        name = ".".join(parts[:count])
        for known in (name, int(name) if name.isascii() and name.isdigit() else name):
            if known in content:
                return content[known], ".".join(parts[count:])
    start = f"{key}."
    under = {
        name.removeprefix(start): value
        for name, value in content.items()
        if isinstance(name, str) and name.startswith(start)
    }
    return (under, "") if under else None


def _parts(content: dict | list | tuple) -> Iterator[tuple[Any, Any]]:
    return iter(content.items() if isinstance(content, dict) else enumerate(content))


def _is_state(part: Any) -> bool:
    return isinstance(part, dict) and any(map(torch.is_tensor, part.values()))


def _name(key: Any) -> str:
    return repr(key)[:LETTERS]


def _kind(part: Any) -> str:
    if _is_state(part):
        count = sum(map(torch.is_tensor, part.values()))
        return f" (a state dict of {count} tensors)"
    if torch.is_tensor(part):
        return " (a tensor)"
    return f" ({type(part).__name__})"
