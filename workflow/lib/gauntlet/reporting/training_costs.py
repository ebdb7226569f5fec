"""What the trainings of a study cost: passes of each image, and seconds."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from gauntlet.core.records import RUN_NAMES, Run, read_json, run_of
from gauntlet.evaluation.summary import MODEL

MEASURED = ("seconds", "cpu_seconds", "peak_rss_mb")
COLUMNS = (*RUN_NAMES, "epochs", "forwards", "backwards", *MEASURED)


@dataclass(frozen=True)
class Cost:
    """What a model's trainings took, a mean over seeds.

    `passes` are forward and backward passes of one training image in all epochs; None if the
    defense's formulas give none.
    """

    seconds: float
    passes: float | None


def rows_of(provenances: Sequence[str], trains: Sequence[str], passes: Sequence) -> list[dict]:
    """Give the rows of timings.csv: COLUMNS of each training, in the order of the files.

    `passes` lists [dataset, model, defense, forwards, backwards] of an image and epoch.
    """
    each = {tuple(one[:3]): one[3:] for one in passes}
    rows = []
    for path, train in zip(provenances, trains, strict=True):
        record = read_json(path)
        if record.get("rule") == "import_model":
            continue  # nothing was trained
        rows.append(_row(run_of(path), record, read_json(Path(train)), each))
    return rows


def _row(run: Run, provenance: dict, train: dict, each: dict) -> dict:
    epochs = train.get("epochs_done", train["epochs"])
    counts = each.get(run[:3], (None, None))
    forwards, backwards = (None if one is None else one * epochs for one in counts)
    row = run._asdict() | {"epochs": epochs, "forwards": forwards, "backwards": backwards}
    return row | {name: provenance.get(name) for name in MEASURED}


def costs_of(rows: Sequence[dict]) -> dict[tuple, Cost]:
    """Join the seeds of each (dataset, model, defense)."""
    groups: dict[tuple, list[dict]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in MODEL), []).append(row)
    return {model: _cost(own) for model, own in groups.items()}


def _cost(rows: Sequence[dict]) -> Cost:
    seconds = fmean(float(row["seconds"]) for row in rows)
    counts = [(row["forwards"], row["backwards"]) for row in rows]
    if any(one in (None, "") for pair in counts for one in pair):
        return Cost(seconds, None)
    return Cost(seconds, fmean(float(forward) + float(back) for forward, back in counts))
