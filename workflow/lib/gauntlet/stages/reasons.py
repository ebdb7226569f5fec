"""Why a model, an attack or a training failed, in one line."""

import logging

import torch

from gauntlet.core.errors import GauntletError
from gauntlet.core.records import first_line

logger = logging.getLogger(__name__)
MACHINE = (OSError, MemoryError, torch.OutOfMemoryError)
# How PyTorch says that a CPU has no memory, and that a device or its libraries failed.
OF_THE_MACHINE = ("allocate memory", "CUDA error", "CUDNN_STATUS", "CUBLAS_STATUS")


def reason(error: Exception) -> str:
    """Say in one line why a model, an attack or a training failed.

    Raises the error again if it is the machine's (a full disk, no memory, a device that fails):
    another try may succeed.
    """
    if isinstance(error, MACHINE) or any(words in str(error) for words in OF_THE_MACHINE):
        raise error
    logger.info("the model, the attack or the training failed", exc_info=error)
    if isinstance(error, GauntletError):
        return str(error)
    return f"{type(error).__name__}: {first_line(error)}"
