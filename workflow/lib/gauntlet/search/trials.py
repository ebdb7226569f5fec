"""Trials of a search: what each has reached, and which ones end early. Standard library only."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

COMPLETE, PRUNED, REFUSED = "complete", "pruned", "refused"
WARM_UP = 1 / 3  # share of the epochs before which no trial ends early
ENOUGH = 4  # earlier trials without which nothing is pruned


@dataclass(frozen=True)
class Trial:
    """A trial, as a mean over its seeds; what no seed has reached is None.

    `value` is the goal's, `robust` and `clean` are accuracies in [0, 1] on `n` validation images,
    at the epoch whose weights a training of this length would keep. `epochs` is the number of
    epochs that every seed has done. `reason` says why the trial was refused or ended early.
    """

    trial: int
    state: str
    settings: Mapping[str, Any]
    value: float | None
    robust: float | None
    clean: float | None
    n: int
    seeds: int
    epochs: int
    reason: str
    start: bool = False


def chosen_rows(history: Iterable[Mapping], selection: str) -> list[Mapping]:
    """Give, after each epoch, the row whose weights a training that ends there would keep.

    `selection` is "best" (robust accuracy, ties by clean, then the earlier one) or "last"; epochs
    that were taken back do not count.
    """
    found: list[Mapping] = []
    for row in history:
        before = found[-1] if found else row
        gone = bool(row.get("rolled_back"))
        better = _rank(row) > _rank(before) if selection == "best" else True
        found.append(row if better and not gone else before)
    return found


def _rank(row: Mapping) -> tuple[float, float]:
    return row["validation_robust"], row["validation_clean"]


def value_of(row: Mapping, goal: Mapping[str, float]) -> float:
    """Give the goal's value of an epoch: its weights times robust and clean accuracy."""
    found = sum(goal[name] * row[f"validation_{name}"] for name in ("robust", "clean"))
    return round(found, 6)


def curve(history: Iterable[Mapping], selection: str, goal: Mapping[str, float]) -> list[float]:
    """Give the goal's value after each epoch, as if the training ended there."""
    return [value_of(row, goal) for row in chosen_rows(history, selection)]


def is_hopeless(values: Sequence[float], thresholds: Sequence[float], epochs: int) -> bool:
    """Tell whether a trial of so many epochs, with this curve so far, is to end early."""
    done = len(values)
    if not done or done < math.ceil(WARM_UP * epochs) or done > len(thresholds):
        return False
    return values[-1] < thresholds[done - 1]


def thresholds(results: Iterable[Mapping]) -> dict[str, list[float]]:
    """Give, by seed, the median after each epoch of the trials that were not refused.

    A trial that had ended keeps its last value, early or not: the median of those alone that were
    good enough to go on would rise from round to round until hardly any trial could pass it.
    Nothing is there for a seed with too few trials.
    """
    curves: dict[str, list[list[float]]] = {}
    for result in results:
        if result["state"] != REFUSED:
            curves.setdefault(str(result["seed"]), []).append(result["curve"])
    return {
        seed: [median(c[min(i, len(c) - 1)] for c in known) for i in range(max(map(len, known)))]
        for seed, known in sorted(curves.items())
        if len(known) >= ENOUGH
    }


def joined(results: Iterable[Mapping]) -> list[Trial]:
    """Join the seeds of each trial, in the order of the trials' numbers.

    A trial is refused if one of its seeds was, else pruned if one of them was.
    """
    groups: dict[int, list[Mapping]] = {}
    for result in results:
        groups.setdefault(result["trial"], []).append(result)
    return [_joined(groups[number]) for number in sorted(groups)]


def _joined(results: list[Mapping]) -> Trial:
    states = {result["state"] for result in results}
    state = next(s for s in (REFUSED, PRUNED, COMPLETE) if s in states)
    reasons = dict.fromkeys(result["reason"] for result in results if result["reason"])
    first = results[0]
    return Trial(
        trial=first["trial"],
        state=state,
        settings=first["settings"],
        n=first["n"],
        seeds=len(results),
        epochs=min(len(result["curve"]) for result in results),
        reason="; ".join(reasons),
        start=first["start"],
        **{name: _mean(result[name] for result in results) for name in ("value", *_ACCURACIES)},
    )


_ACCURACIES = ("robust", "clean")


def _mean(values: Iterable[float | None]) -> float | None:
    known = [*values]
    return None if None in known else round(fmean(known), 6)


def best(trials: Iterable[Trial]) -> Trial | None:
    """Give the complete trial of highest value, the earlier one of equals; None without any."""
    complete = [trial for trial in trials if trial.state == COMPLETE]
    return max(complete, key=lambda trial: (trial.value, -trial.trial), default=None)
