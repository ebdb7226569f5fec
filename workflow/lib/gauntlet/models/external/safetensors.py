"""Reading of .safetensors files, by the format's own library."""

import re
from pathlib import Path

from torch import Tensor

from gauntlet.core.errors import GauntletError

HEAD = 8  # bytes that say how long the header is, which is JSON


def is_safetensors(path: str) -> bool:
    """Tell by a file's beginning whether it is one."""
    with open(path, "rb") as stream:
        head = stream.read(HEAD + 1)
    length = int.from_bytes(head[:HEAD], "little")
    return head[HEAD:] == b"{" and length <= Path(path).stat().st_size


def read_safetensors(path: str) -> dict[str, Tensor]:
    """Read all tensors, sorted by name with numbers as such: the file keeps no order of its own.

    Raises GauntletError for a file that is not as its header says.
    Source: the format's description at https://huggingface.co/docs/safetensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found = load_file(path)
    except (SafetensorError, ValueError, KeyError, AttributeError) as error:
        raise GauntletError(f"{path} is a truncated or damaged .safetensors file ({error}).") from (
            error
        )
    return dict(sorted(found.items(), key=lambda item: _natural(item[0])))


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort layer2 before layer10."""
    parts = re.split(r"([0-9]+)", name)
    return [(int(part), "") if part.isdigit() and part.isascii() else (0, part) for part in parts]
