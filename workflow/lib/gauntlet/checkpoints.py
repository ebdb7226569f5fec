"""Checkpoints of a training that is not over: it goes on as if it had never stopped."""

import logging
import os
import pickle
import socket
import time
from pathlib import Path

import torch
from torch import nn

logger = logging.getLogger(__name__)
MINUTES = "GAUNTLET_CHECKPOINT_MINUTES"  # between checkpoints within an epoch
OFTEN = 10.0  # minutes, where the environment does not say


class Checkpoints:
    """The one checkpoint of a training, in a folder that is tied to spec, code and inputs.

    It holds the states of the named `parts` (modules, optimizer) and of the random generators, and
    what the loop itself has to remember. Without a folder nothing is saved.
    """

    def __init__(self, folder: Path | None, parts: dict[str, nn.Module | torch.optim.Optimizer]):
        self.path = None if folder is None else folder / "checkpoint.pt"
        self.parts, self.last = parts, time.monotonic()
        self.wait = 60 * float(os.environ.get(MINUTES, OFTEN))

    def load(self) -> dict | None:
        """Set all parts and the generators as they were; give what the loop remembers, or None."""
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
        """Save the parts and what the loop has to remember, whole or not at all."""
        self.last = time.monotonic()
        if self.path is None:
            return
        parts = {name: part.state_dict() for name, part in self.parts.items()}
        # A copy of this job that another node has finished has removed the folder.
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(f".{socket.gethostname()}-{os.getpid()}.part")
        with open(fresh, "wb") as stream:
            torch.save({"parts": parts, "generators": _generators(), "loop": loop}, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(fresh, self.path)

    def due(self) -> bool:
        """Tell whether the last save is longer ago than the wait between two."""
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
