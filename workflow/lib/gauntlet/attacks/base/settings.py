"""Checks of settings that several attacks share; each names the setting, its value, the limits."""

from math import isfinite


def require_counts(**counts: int) -> None:
    """Raise ValueError for a count that is no whole number of 1 or more."""
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ValueError(f"{name} is {count!r}; allowed are whole numbers from 1")


def require_not_negative(**numbers: float) -> None:
    """Raise ValueError for a number that is negative or not finite."""
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise ValueError(f"{name} is {number!r}; allowed are numbers of 0 or more")
        if not (number >= 0 and isfinite(number)):
            raise ValueError(f"{name} is {number!r}; allowed are finite numbers of 0 or more")


def require_one_start(early_stop: bool, restarts: int) -> None:
    """Raise ValueError for several restarts without `early_stop`, which keeps one example."""
    if not early_stop and restarts != 1:
        raise ValueError(f"restarts is {restarts} with early_stop off; allowed is 1")
