"""One trial of a search: trained like any defense, judged on the validation part alone."""

from pathlib import Path
from typing import Any, NamedTuple

import torch

from gauntlet.core.errors import GauntletError
from gauntlet.core.records import read_json
from gauntlet.search import trials
from gauntlet.stages import train
from gauntlet.stages.reasons import reason
from gauntlet.study.found_settings import with_settings
from gauntlet.training.data_parallel import SingleProcess
from gauntlet.training.loop import NonFiniteLoss

History = list[dict[str, Any]]


class Tried(NamedTuple):
    """A trial's result, for the search, and the rows of its epochs."""

    result: dict[str, Any]
    history: History


class _Ended(NamedTuple):
    """How a training has ended: the rows of its epochs, a trial's state, and why."""

    history: History
    state: str
    reason: str


def try_settings(
    files: dict, spec: dict, proposal: str | Path, keep: Path | None, device: torch.device
) -> Tried:
    """Train with the settings that a round's file has for this trial and seed.

    `files` are those of `train.fit_files`, `spec` is a training's with `goal`, `search` and
    `trial`. A training that fails (a loss that is not finite, a collapse, settings that the
    defense refuses) is a result too: its state says so, and its reason.
    """
    asked = read_json(proposal)
    mine = next((one for one in asked["trials"] if one["trial"] == spec["trial"]), None)
    if mine is None:
        raise GauntletError(f"{proposal} has no settings for trial {spec['trial']}.")
    own = with_settings(spec, mine["settings"])
    limits = asked["thresholds"].get(str(spec["seed"]), [])
    ended = _train(files, own, keep, device, limits)
    about = {"n": len(read_json(files["split"])["validation"]), "seed": spec["seed"]}
    return Tried(mine | about | _reached(ended, own), ended.history)


def _train(files: dict, spec: dict, keep: Path | None, device, limits: list[float]) -> _Ended:
    training, goal = spec["training"], spec["goal"]

    def hopeless(history: History) -> bool:
        values = trials.curve(history, training["selection"], goal)
        return trials.is_hopeless(values, limits, training["epochs"])

    try:
        outcome = train.fit_files(files, spec, keep, device, SingleProcess(), hopeless)
    except NonFiniteLoss as error:
        return _Ended(error.outcome.history, trials.REFUSED, str(error))
    except (GauntletError, ValueError) as error:  # the settings'; all else ends the job
        return _Ended([], trials.REFUSED, reason(error))
    if outcome.warnings:
        return _Ended(outcome.history, trials.REFUSED, "; ".join(outcome.warnings))
    if len(outcome.history) < training["epochs"] and hopeless(outcome.history):
        return _Ended(outcome.history, trials.PRUNED, "below the median of earlier trials")
    return _Ended(outcome.history, trials.COMPLETE, "")


def _reached(ended: _Ended, spec: dict) -> dict[str, Any]:
    """Say what a training has reached; a refused one has no value."""
    chosen = trials.chosen_rows(ended.history, spec["training"]["selection"])
    found = {"curve": [trials.value_of(row, spec["goal"]) for row in chosen]}
    found |= {"state": ended.state, "reason": ended.reason, "epoch": None}
    found |= dict.fromkeys(("value", "robust", "clean"))
    if chosen and ended.state != trials.REFUSED:
        row = chosen[-1]
        found |= {"epoch": row["epoch"], "value": found["curve"][-1]}
        found |= {name: row[f"validation_{name}"] for name in ("robust", "clean")}
    return found
