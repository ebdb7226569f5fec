"""Reading of .safetensors files, by the format's own library."""

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
    """Read all tensors; GauntletError for a file that is not as its header says.

    Source: the format's description at https://huggingface.co/docs/safetensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, ValueError, KeyError, AttributeError) as error:
        raise GauntletError(f"{path} is a truncated or damaged .safetensors file ({error}).") from (
            error
        )
