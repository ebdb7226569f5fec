"""How results are computed: seed, images at a time, number format."""

import numpy as np
import torch

from gauntlet.core.batched_model import PRECISIONS
from gauntlet.core.errors import GauntletError
from gauntlet.study.specs import CHUNKS

MOST_SEED = 2**32 - 1


def run_spec(device: torch.device, seed: int, batch: int | None, precision: str) -> dict:
    """Give what a stage must know of the computation; `batch` None: chosen by device.

    Raises GauntletError for a value that is not allowed.
    """
    seed, batch = (int(n) if isinstance(n, np.integer) else n for n in (seed, batch))
    if type(seed) is not int or not 0 <= seed <= MOST_SEED:
        raise GauntletError(f"seed is {seed!r}; allowed is a whole number from 0 to {MOST_SEED}.")
    if batch is not None and (type(batch) is not int or batch < 1):
        raise GauntletError(f"batch is {batch!r}; allowed is a whole number of 1 or more, or None.")
    if precision not in PRECISIONS:
        raise GauntletError(f"precision is {precision!r}; allowed are {', '.join(PRECISIONS)}.")
    chosen = batch or CHUNKS.get(device.type, CHUNKS["cuda"])
    return {"seed": seed, "batch": chosen, "precision": precision}
