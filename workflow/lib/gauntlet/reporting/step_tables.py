"""The table of steps before models: a row per model and step, joined over seeds."""

import math
from collections.abc import Sequence

from gauntlet.evaluation.metrics import wilson
from gauntlet.evaluation.summary import MODEL, mean_std
from gauntlet.reporting.formatting import percent, threat_label
from gauntlet.reporting.tables import Table

HEAD = ("step", "clean", "rejected", "naive", "adaptive", "95 %")
NOTES = (
    (
        "Accuracy in % on n test images behind a step: mean ± standard deviation over seeds; [ ]: "
        "Wilson 95 % interval of the adaptive one. Naive: the examples that the study's attacks "
        "made against the model alone, which do not know the step. Adaptive: the worst case, per "
        "image, over these and an attack through the step (by its gradient, by a substitute where "
        "it has none, averaged where it is random). Only the adaptive number says what a step is "
        "worth."
    ),
    (
        "Step none: the model alone under these attacks. Rejected: clean images that a detector "
        "refuses, which count as errors; an adversarial example that it refuses is defended. "
        "Of a random step the mean over draws counts, and of several attacks the lowest mean."
    ),
)


def step_tables(rows: Sequence[dict]) -> list[Table]:
    """Make a table for each norm and eps of the rows of all seeds."""
    threats = dict.fromkeys((row["norm"], row["eps"]) for row in rows)
    return [_table([row for row in rows if (row["norm"], row["eps"]) == t], t) for t in threats]


def warnings(rows: Sequence[dict]) -> list[str]:
    """List the rows' warnings as `(!) dataset/model/defense/step, seed: text`."""
    return [
        f"(!) {'/'.join(row[name] for name in (*MODEL, 'preprocess'))}, seed {row['seed']}, "
        f"{threat_label(row['norm'], row['eps'])}: {row['warning']}"
        for row in rows
        if row["warning"]
    ]


def _table(rows: Sequence[dict], threat: tuple[str, float]) -> Table:
    names = [n for n in MODEL if n == "defense" or len({row[n] for row in rows}) > 1]
    models: dict[tuple, list[dict]] = {}
    for row in rows:
        models.setdefault(tuple(row[name] for name in MODEL), []).append(row)
    lines = []
    for own in models.values():
        shown = tuple(own[0][name] for name in names)
        lines.append((*shown, *_without(own)))
        for step in dict.fromkeys(row["preprocess"] for row in own):
            lines.append((*shown, *_line([row for row in own if row["preprocess"] == step])))
    sizes = ", ".join(sorted({str(row["n"]) for row in rows}))
    seeds = len({row["seed"] for row in rows})
    title = f"Steps before models, {threat_label(*threat)}, n = {sizes}, {seeds} seed"
    return Table(title + "s" * (seeds > 1), (*names, *HEAD), lines)


def _without(rows: Sequence[dict]) -> tuple[str, ...]:
    """Give the line of the model alone."""
    one = {row["seed"]: row for row in rows}.values()
    return ("none", _cell(one, "clean_without_step"), "–", "–", *_interval(one, "without_step"))


def _line(rows: Sequence[dict]) -> tuple[str, ...]:
    mark = " (!)" if any(row["warning"] for row in rows) else ""
    refused = mean_std(rows, "rejected_clean")[0]
    return (
        rows[0]["preprocess"] + mark,
        _cell(rows, "clean_accuracy"),
        percent(refused) if refused else "–",
        _cell(rows, "naive_accuracy"),
        *_interval(rows, "adaptive_accuracy"),
    )


def _interval(rows: Sequence[dict], name: str) -> tuple[str, str]:
    rows = list(rows)
    low, high = wilson(mean_std(rows, name)[0], int(rows[0]["n"]))
    return _cell(rows, name), f"[{percent(low)}, {percent(high)}]"


def _cell(rows: Sequence[dict], name: str) -> str:
    mean, spread = mean_std(list(rows), name)
    return percent(mean, None if math.isnan(spread) else spread)
