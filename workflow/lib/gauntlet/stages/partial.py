"""Pools of images that are done: saved, and found again by a run that was interrupted."""

import logging
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from gauntlet.core import spent, tensor_io
from gauntlet.core.errors import GauntletError
from gauntlet.core.files import write_whole

logger = logging.getLogger(__name__)


def save(keep: Path | None, number: int, state: dict[str, Tensor]) -> None:
    """Save what was made of a pool in the folder `keep`, if there is one."""
    if keep is not None:
        write_whole(_path(keep, number), lambda fresh: tensor_io.save_state(state, fresh))
        spent.mark(keep)


def resumed(keep: Path | None, number: int, names: Sequence[str]) -> dict[str, Tensor] | None:
    """Give what an interrupted run has made of a pool, under these names; None if nothing."""
    path = None if keep is None else _path(keep, number)
    if path is None or not path.exists():
        return None
    try:
        found = tensor_io.load_state(path)
    except GauntletError:
        found = {}
    if found.keys() != set(names):
        logger.warning("%s is damaged; its images are attacked again", path)
        return None
    logger.info("continues after pool %d of an interrupted run", number)
    return found


def _path(keep: Path, number: int) -> Path:
    return keep / f"pool{number:05d}.pt"
