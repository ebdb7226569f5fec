"""Checkpoints of a training in progress: it resumes as if it had never stopped."""

import io
import logging
import os
import pickle
import time
from pathlib import Path

import torch
from torch import nn

from gauntlet.core import spent
from gauntlet.core.files import write_whole

logger = logging.getLogger(__name__)
MINUTES = "GAUNTLET_CHECKPOINT_MINUTES"  # between checkpoints within an epoch
OFTEN = 10.0  # minutes, where the environment does not say


class Checkpoints:
    """The one checkpoint of a training, in a folder that is tied to spec, code and inputs.

    It holds the states of the named `parts` (modules, optimizer), of the random generators and of
    the training loop. Without a folder nothing is saved.
    """

    def __init__(self, folder: Path | None, parts: dict[str, nn.Module | torch.optim.Optimizer]):
        self.path = None if folder is None else folder / "checkpoint.pt"
        self.parts, self.last = parts, time.monotonic()
        self.wait = 60 * float(os.environ.get(MINUTES, OFTEN))

    def load(self) -> dict | None:
        """Restore all parts and the generators; give the state of the loop, None without a file."""
        if self.path is None or not self.path.exists():
            return None
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError):
            logger.warning("%s is damaged; the training starts anew", self.path)
            return None
        for name, part in self.parts.items():
            part.load_state_dict(state["parts"][name])
        _set_generators(state["generators"])
        return state["loop"]

    def save(self, loop: dict) -> None:
        """Save the parts and the state of the loop; a file is complete or does not exist."""
        self.last = time.monotonic()
        if self.path is None:
            return
        parts = {name: part.state_dict() for name, part in self.parts.items()}
        state = {"parts": parts, "generators": _generators(), "loop": loop}
        buffer = io.BytesIO()  # torch.save would hide the OSError of a full disk
        torch.save(state, buffer)
        write_whole(self.path, lambda fresh: fresh.write_bytes(buffer.getbuffer()), durable=True)
        spent.mark(self.path.parent)

    def due(self) -> bool:
        """Say whether the time between two saves is over."""
        return self.path is not None and time.monotonic() - self.last >= self.wait


def _generators() -> dict[str, torch.Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def _set_generators(states: dict[str, torch.Tensor]) -> None:
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
