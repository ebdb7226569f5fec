"""Reading of .safetensors files: a header in JSON, then plain numbers."""

import json
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from gauntlet.core.errors import GauntletError

HEAD = 8  # bytes that say how long the header is
LONGEST = 100_000_000  # bytes of the header, as the format itself says
TYPES = {
    **{"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16},
    **{"I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8},
    **{"U8": torch.uint8, "BOOL": torch.bool},
}


def is_safetensors(path: str) -> bool:
    """Tell by a file's beginning whether it is one."""
    with open(path, "rb") as stream:
        head = stream.read(HEAD + 1)
    length = int.from_bytes(head[:HEAD], "little")
    return head[HEAD:] == b"{" and length <= Path(path).stat().st_size


def read_safetensors(path: str) -> dict[str, Tensor]:
    """Read all tensors; GauntletError for a header that does not describe the file.

    Source: the format's description at https://huggingface.co/docs/safetensors.
    """
    try:
        content = Path(path).read_bytes()
        length = int.from_bytes(content[:HEAD], "little")
        if length > LONGEST:
            raise ValueError(f"a header of {length} bytes")
        header = json.loads(content[HEAD : HEAD + length])
        header.pop("__metadata__", None)
        data = bytearray(content[HEAD + length :])
        return {name: _tensor(data, entry) for name, entry in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise GauntletError(
            f"{path} is a truncated or damaged .safetensors file ({type(error).__name__}: {error})."
        ) from error


def _tensor(data: bytearray, entry: dict) -> Tensor:
    kind, shape, (start, end) = TYPES[entry["dtype"]], entry["shape"], entry["data_offsets"]
    if not 0 <= start <= end <= len(data) or end - start != prod(shape) * kind.itemsize:
        raise ValueError(f"{end - start} bytes at {start} for {shape} of {entry['dtype']}")
    if start == end:
        return torch.empty(shape, dtype=kind)
    return torch.frombuffer(data, dtype=kind, count=prod(shape), offset=start).reshape(shape)
