"""A network in a torch.export file (.pt2), as `torch.export.save` writes it."""

import io
import logging
import zipfile

import torch
from torch import nn

from gauntlet.core.errors import GauntletError
from gauntlet.models._exported_archive import require_plain
from gauntlet.models._frames import Held, any_batch, first_line
from gauntlet.models._train_mode import require_program_in_eval_mode


def exported(
    shape: tuple[int, int, int], classes: int, *, artefact: bytes, gradients: bool = True
) -> nn.Module:
    """Load an exported program for images of `shape` (C, H, W) from a file's content.

    Raises GauntletError if the file is none, holds code besides PyTorch's own operators, was
    exported in train mode, or cannot take such images.
    """
    require_plain(artefact)
    try:
        program = _quietly(artefact)
    except Exception as error:  # a malicious graph may raise anything
        raise GauntletError(
            f"it cannot be read as an exported program ({first_line(error)}); write it anew with "
            f"torch.export.save of PyTorch {torch.__version__.split('+')[0]}."
        ) from error
    require_program_in_eval_mode(program)
    return any_batch(Held(program, gradients), shape, _batch_size(artefact), "the network")


def _quietly(artefact: bytes) -> nn.Module:
    """Load without PyTorch's own traceback in the log, and without the guards, which are code."""
    logger = logging.getLogger("torch.export")
    before, logger.disabled = logger.disabled, True
    try:
        program = torch.export.load(io.BytesIO(artefact))
        program._guards_code = []
        return program.module()
    finally:
        logger.disabled = before


def _batch_size(artefact: bytes) -> int | None:
    """Find how many images the program was exported for, by the example that lies in the file."""
    with zipfile.ZipFile(io.BytesIO(artefact)) as archive:
        name = next(n for n in archive.namelist() if n.endswith("data/sample_inputs/model.pt"))
        content = archive.read(name)
    sample = torch.load(io.BytesIO(content), weights_only=True) if content else None
    while isinstance(sample, (tuple, list)) and sample:
        sample = sample[0]
    return len(sample) if isinstance(sample, torch.Tensor) and sample.ndim else None
