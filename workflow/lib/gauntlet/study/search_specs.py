"""Specifications of the jobs of searches. Standard library only; see `specs` for what they are."""

from typing import Any

from gauntlet.study.found_settings import with_settings
from gauntlet.study.searches import (
    plain_range,
    search_part,
    start_settings,
    trial_config,
)
from gauntlet.study.specs import Spec, ordered, train_spec


def round_of(config: Spec, search: str, trial: int | str) -> int:
    """Give the number of the round, from 1, in which a trial is tried."""
    return (int(trial) - 1) // config["searches"][search]["parallel"] + 1


def rounds_left(config: Spec, search: str, trial: int | str) -> int:
    """Count the rounds that are not over while a trial runs, its own included."""
    last = round_of(config, search, config["searches"][search]["trials"])
    return max(last - round_of(config, search, trial), 0) + 1


def trials_before(config: Spec, search: str, round: int | str) -> range:
    """Give the numbers of the trials of all rounds before one."""
    return range(1, (int(round) - 1) * config["searches"][search]["parallel"] + 1)


def all_trials(config: Spec, search: str) -> range:
    """Give the numbers of a search's trials, from 1."""
    return range(1, config["searches"][search]["trials"] + 1)


def round_spec(config: Spec, search: str, round: int | str) -> Spec:
    """Say how a round's settings are chosen; the results of the trials before are inputs.

    It does not depend on how many trials there are in all: more of them add rounds.
    """
    asked = config["searches"][search]
    own = {key: asked[key] for key in ("parallel", "pruning", "seed")}
    own |= {"ranges": _ranges(asked), "round": int(round)}
    return ordered(own | {"start": start_settings(config, search)})


def _ranges(asked: Spec) -> dict[str, Any]:
    return {key: plain_range(tried) for key, tried in asked["ranges"].items()}


def trial_spec(config: Spec, search: str, trial: int | str, seed: int | str) -> Spec:
    """Say how a trial is trained and judged; its own settings are an input.

    It is `specs.train_spec` of the search's defense, with `goal`, `search` and `trial`.
    """
    asked = config["searches"][search]
    run = (asked["dataset"], asked["model"], asked["defense"], seed)
    made = train_spec(trial_config(config, search), *run)
    own = {"goal": asked["goal"], "search": search_part(config, search), "trial": int(trial)}
    return ordered(made | own)


def largest_spec(config: Spec, search: str) -> Spec:
    """Say how the trial that takes longest is trained: every number at its highest."""
    return at_highest(config, search, trial_spec(config, search, 1, 0))


def at_highest(config: Spec, search: str, spec: Spec) -> Spec:
    """Give the specification of a training, every number that a search may find at its highest."""
    ranges = config["searches"][search]["ranges"]
    highest = {key: tried["high"] for key, tried in ranges.items() if "high" in tried}
    return with_settings(spec, highest)


def choice_spec(config: Spec, search: str) -> Spec:
    """Say which trials are compared; their results are inputs."""
    asked = config["searches"][search]
    own = {key: asked[key] for key in ("dataset", "defense", "goal", "model", "seed")}
    return ordered(own | {"ranges": _ranges(asked), "search": search})


def search_figure_spec(config: Spec, search: str) -> Spec:
    """Say what the figure of a search shows, and how it looks."""
    asked = config["searches"][search]
    own = {key: asked[key] for key in ("dataset", "defense", "model")}
    return ordered(own | {"figure": "search", "figures": config["figures"], "search": search})
