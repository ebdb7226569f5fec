"""Which trackers are asked for, and where a training's records are written. No PyTorch."""

import json
import os
from pathlib import Path
from typing import NamedTuple

from gauntlet.core.progress import JOB
from gauntlet.core.records import FOLDER as RUNS
from gauntlet.core.records import Run, run_of

SETTINGS = "GAUNTLET_TRACKING"  # a JSON mapping: the configuration's `tracking`
FOLDER = "tracking"  # beside the logs of all runs
TRACKERS = ("tensorboard", "wandb", "mlflow")


class Place(NamedTuple):
    """The run that a job trains, and the folder that holds the records of all runs."""

    run: Run
    folder: Path

    @property
    def name(self) -> str:
        """Give the run's name, as its results' folder has it: dataset/model/defense/seed0."""
        return "/".join((*map(str, self.run[:3]), f"seed{self.run.seed}"))

    def of(self, tracker: str) -> Path:
        """Give this run's folder of one tracker."""
        return self.folder / tracker / self.name


def settings() -> dict:
    """Read what is asked for; nothing where the environment says nothing that can be read."""
    try:
        found = json.loads(os.environ.get(SETTINGS) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def job_place() -> Place | None:
    """Give the place of the training that this process does; None outside a job of a run.

    Trials of a search are no runs, and are not tracked.
    """
    log = os.environ.get(JOB, "")
    return place_of(Path(log)) if RUNS.search(log) else None


def place_of(log: Path) -> Place:
    """Give the place that belongs to a log file `<logs>/runs/<run>/train.log`."""
    return Place(run_of(log), log.parents[5] / FOLDER)
