"""How the radius of the attack inside grows over a training."""

from collections.abc import Callable
from math import cos, pi

BEND = 0.25  # share of a smooth ramp that is curved; the rest is linear
POWER = 4
STEEP = 1 / (BEND**POWER + POWER * BEND ** (POWER - 1) * (1 - BEND))


def _smooth(share: float) -> float:
    if share < BEND:
        return STEEP * share**POWER
    return STEEP * (BEND**POWER + POWER * BEND ** (POWER - 1) * (share - BEND))


SHAPES: dict[str, Callable[[float], float]] = {
    "linear": lambda share: share,
    "cosine": lambda share: 0.5 * (1 - cos(pi * share)),
    "smooth": _smooth,
}


def radius_share(training: dict, done: float) -> float:
    """Give the radius as a share of its full one, where `done` of the training is over.

    It is 0 until `ramp_start`, grows in the `ramp_shape` for the share `ramp`, and stays 1. The
    smooth shape (Xu et al. 2020, auto_LiRPA) rises by the fourth power first, then linearly.
    """
    ramp, start = training["ramp"], training["ramp_start"]
    if not ramp:
        return 1.0 if done >= start else 0.0
    share = min(1.0, max(done - start, 0.0) / ramp)
    return min(1.0, SHAPES[training["ramp_shape"]](share))
