"""What is tried next: settings by Optuna's TPE sampler, from the results of earlier trials."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState, create_trial

from gauntlet.search.trials import COMPLETE, PRUNED, Trial

RANDOM = 8  # trials that are drawn at random before results decide
DIGITS = 4  # significant digits of a proposed number: it can be copied into a configuration
TRIES = 20  # to find settings that no trial has had


def propose(spec: Mapping[str, Any], trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Give the settings of the trials of a round, from all earlier ones.

    `spec` has `ranges` by setting ({low, high, log, int} or {choice}), `parallel` (trials in the
    round), `seed`, `round` from 1, and `start`, the settings of the first round's first trial as
    far as they are known. The same trials give the same settings.
    Source: Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization"; Optuna's
    TPESampler, which counts what runs at the same time as bad results (constant liar).
    """
    ranges = {key: distribution(tried) for key, tried in spec["ranges"].items()}
    study = study_of(ranges, trials, sampler_seed(spec["seed"], "propose", spec["round"]))
    seen, start = [dict(trial.settings) for trial in trials], {}
    if spec["round"] == 1 and spec["start"]:
        start = spec["start"]
        study.enqueue_trial(start)
    for _ in range(spec["parallel"]):
        seen.append(_new(study, ranges, seen, start))
        start = {}
    return seen[len(trials) :]


def _new(study: optuna.Study, ranges: Mapping, seen: list[dict], start: Mapping) -> dict[str, Any]:
    """Ask for settings that no trial has had; after some tries take what comes."""
    for attempt in range(TRIES):
        asked = study.ask(ranges)
        found = {
            key: start[key] if key in start else _rounded(value, ranges[key])
            for key, value in asked.params.items()
        }
        if found not in seen:
            break
        if attempt < TRIES - 1:
            study.tell(asked, state=TrialState.FAIL)
    return {key: found[key] for key in ranges}


def _rounded(value: Any, within: BaseDistribution) -> Any:
    if not isinstance(within, FloatDistribution):
        return value
    return min(max(float(f"{value:.{DIGITS}g}"), within.low), within.high)


def distribution(tried: Mapping[str, Any]) -> BaseDistribution:
    """Give Optuna's form of a range."""
    if "choice" in tried:
        return CategoricalDistribution(tried["choice"])
    kind = IntDistribution if tried["int"] else FloatDistribution
    return kind(tried["low"], tried["high"], log=tried["log"])


def study_of(
    ranges: Mapping[str, BaseDistribution], trials: Sequence[Trial], seed: int
) -> optuna.Study:
    """Give a study in memory that knows the trials; the goal is maximized."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(
        seed=seed, n_startup_trials=RANDOM, multivariate=True, constant_liar=True
    )
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for trial in trials:
        study.add_trial(_known(trial, ranges))
    return study


def _known(trial: Trial, ranges: Mapping[str, BaseDistribution]) -> FrozenTrial:
    """Give Optuna's form of a trial: one that was refused counts as the worst of the pruned."""
    known = {"params": dict(trial.settings), "distributions": dict(ranges)}
    if trial.state == COMPLETE:
        return create_trial(state=TrialState.COMPLETE, value=trial.value, **known)
    reached = {trial.epochs: trial.value} if trial.state == PRUNED else {}
    return create_trial(state=TrialState.PRUNED, intermediate_values=reached, **known)


def sampler_seed(seed: int, *purpose: object) -> int:
    """Give a seed of 32 bits of its own for each purpose."""
    text = repr((seed, *map(str, purpose))).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:4], "big")
