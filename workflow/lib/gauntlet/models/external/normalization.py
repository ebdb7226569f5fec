"""The mean and the standard deviation that a file holds beside a network."""

import re
from dataclasses import dataclass

from torch import Tensor

from gauntlet.models.external.layer_order import State

BEFORE = "_?(?:image_|img_|pixel_|data_|norm_|channel_)?"
MEAN = re.compile(rf"{BEFORE}(?:mean|means|mu)_?")
DEVIATION = re.compile(rf"{BEFORE}(?:std|stds|stdev|stddev|std_dev|sigma)_?")


@dataclass(frozen=True)
class Normalization:
    """What a network's images are normalized by: a number, or one for each channel."""

    mean: list[float]
    std: list[float]

    @property
    def text(self) -> str:
        """Give both as a configuration writes them."""
        return f"mean: {_rounded(self.mean)}, std: {_rounded(self.std)}"

    def settings(self, given: dict) -> dict:
        """Give the settings of a model that has this normalization, unless it names its own."""
        return {"mean": self.mean, "std": self.std} | given


def without_normalization(state: State, channels: int) -> tuple[Normalization | None, State]:
    """Take a normalization for images of so many channels out of a state dict, if it has one.

    It is one pair of tensors in one place, named as a mean and as a standard deviation usually
    are, with finite values, one or one for each channel, and deviations above 0.
    """
    places: dict[str, dict[re.Pattern, list[str]]] = {}
    for name in state:
        place, _, last = name.rpartition(".")
        for pattern in (MEAN, DEVIATION):
            if pattern.fullmatch(last.lower()):
                places.setdefault(place, {}).setdefault(pattern, []).append(name)
    pairs = [
        (*found[MEAN], *found[DEVIATION])
        for found in places.values()
        if [len(found.get(pattern, ())) for pattern in (MEAN, DEVIATION)] == [1, 1]
    ]
    if len(pairs) != 1 or not all(_usable(state[name], channels) for name in pairs[0]):
        return None, state
    mean, std = (state[name].double().flatten().tolist() for name in pairs[0])
    if min(std) <= 0:
        return None, state
    return Normalization(mean, std), {n: v for n, v in state.items() if n not in pairs[0]}


def _usable(value: Tensor, channels: int) -> bool:
    plain = value.is_floating_point() and not (value.is_sparse or value.is_nested or value.is_meta)
    return plain and value.numel() in (1, channels) and bool(value.isfinite().all())


def _rounded(values: list[float]) -> list[float]:
    return [float(f"{value:.6g}") for value in values]
