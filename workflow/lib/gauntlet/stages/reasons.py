"""Why a model, an attack or a training failed, in one line."""

import logging

import torch

from gauntlet.core.errors import GauntletError
from gauntlet.core.records import first_line

logger = logging.getLogger(__name__)
MACHINE = (OSError, MemoryError, torch.OutOfMemoryError)
NO_MEMORY = "allocate memory"  # how PyTorch says on a CPU that there is none


def reason(error: Exception) -> str:
    """Say in one line why a model, an attack or a training failed.

    Raises the error again if it is the machine's (a full disk, no memory): another try may succeed.
    """
    if isinstance(error, MACHINE) or NO_MEMORY in str(error):
        raise error
    logger.info("the model, the attack or the training failed", exc_info=error)
    if isinstance(error, GauntletError):
        return str(error)
    return f"{type(error).__name__}: {first_line(error)}"
