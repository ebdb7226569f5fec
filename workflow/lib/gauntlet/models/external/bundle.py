"""A file that is network and weights at once, kept whole in one of our files of weights."""

import hashlib

import torch
from torch import Tensor

from gauntlet.core.errors import GauntletError

CONTENT, DIGEST = "artefact", "artefact_sha256"


def pack(content: bytes) -> dict[str, Tensor]:
    """Give a state that holds a file's content and its checksum."""
    return {CONTENT: _bytes(content), DIGEST: _bytes(hashlib.sha256(content).digest())}


def unpack(state: dict[str, Tensor], source: object) -> bytes | None:
    """Give the content that a state holds, None if it holds weights as usual.

    Raises GauntletError if it is not what was packed.
    """
    if CONTENT not in state:
        return None
    content = state[CONTENT].numpy().tobytes()
    if hashlib.sha256(content).digest() != state[DIGEST].numpy().tobytes():
        raise GauntletError(f"{source} is damaged: what it holds has another checksum.")
    return content


def _bytes(content: bytes) -> Tensor:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)
