"""Validation accuracy by epoch, a panel per defense."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gauntlet.core.records import read_json, read_rows, run_of
from gauntlet.evaluation.metrics import wilson
from gauntlet.reporting.figures import style

MEASURES = {
    "validation_clean": "clean",
    "validation_fgsm": "FGSM",
    "validation_robust": "PGD",
}


class Training(NamedTuple):
    """One training: its names, history.csv as texts, train.json, images of the validation part."""

    dataset: str
    model: str
    defense: str
    seed: str
    history: list[dict]
    record: dict
    n: int


def training(histories: list[str], trains: list[str], splits: list[str], *, spec: dict) -> Figure:
    """Draw a panel per defense; `trains` are the train.json beside `histories`, in their order.

    `splits` are the split.json of spec["datasets"], in that order.
    """
    parts = {n: read_json(path) for n, path in zip(spec["datasets"], splits, strict=True)}
    trainings = []
    for history, train in zip(histories, trains, strict=True):
        run, rows = run_of(history), read_rows(history)
        count = len(parts[run.dataset]["validation"])
        trainings.append(Training(*run, rows, read_json(train), count))
    return draw(trainings)


def draw(trainings: Sequence[Training]) -> Figure:
    """Draw clean, FGSM and PGD validation accuracy of all trainings."""
    trainings = [training for training in trainings if training.history]
    if not trainings:
        return style.empty("No model of this study has a training history.")
    groups: dict[tuple, list[Training]] = {}
    for training in trainings:
        groups.setdefault(training[:3], []).append(training)
    looks = style.looks(MEASURES)
    figure, axes = style.grid(len(groups), 3, (3.1, 2.5), extra=1.1, sharey=True, sharex=False)
    single = len({name[:2] for name in groups}) == 1
    for (name, mine), place in zip(groups.items(), axes, strict=True):
        _panel(place, mine, looks)
        place.set_title(name[2] if single else " · ".join(name), fontsize=9 if single else 8)
    for place in axes[::3]:
        style.percent_axis(place.yaxis, "validation accuracy (%)")
    chosen = Line2D([], [], color=style.ink(), marker="v", markersize=6, linestyle="none")
    lines = [Line2D([], [], **looks[key] | {"marker": ""}) for key in MEASURES]
    style.legend(figure, [*lines, chosen], [*MEASURES.values(), "epoch whose weights are used"])
    style.note(figure, _note(trainings, single))
    return figure


def _note(trainings: Sequence[Training], single: bool) -> str:
    first = trainings[0]
    seeds = list(dict.fromkeys(training.seed for training in trainings))
    rules = list(dict.fromkeys(t.record["rule"] for t in trainings))
    counts = list(dict.fromkeys(training.n for training in trainings))
    low, high = wilson(0.5, min(counts))
    where = f"{first.dataset} · {first.model}; " if single else ""
    lines = "thick line: mean over seeds; thin: seeds" if len(seeds) > 1 else "line: seed"
    return (
        f"{where}n = {' or '.join(map(str, counts))} validation images, none of the test part "
        f"(a line's Wilson 95 % interval reaches up to ± {50 * (high - low):.0f} points); {lines} "
        f"{', '.join(seeds)}. FGSM takes one step, PGD several, both in the validation attack's "
        f"norm and eps; FGSM high while PGD falls is a collapse. Weights used: {'; '.join(rules)}."
    )


def _panel(axes, trainings: Sequence[Training], looks: dict) -> None:
    several = len(trainings) > 1
    for key in MEASURES:
        look = looks[key] | {"marker": ""}
        curves = [_curve(training, key) for training in trainings]
        for epochs, values in curves:
            thin = {"linewidth": 0.7, "alpha": 0.45, "linestyle": "-"} if several else {}
            axes.plot(epochs, values, **look | thin)
        if several and len({len(epochs) for epochs, _ in curves}) == 1:
            mean = np.mean([values for _, values in curves], axis=0)
            axes.plot(curves[0][0], mean, **look)
    for training in trainings:
        _mark_selected(axes, training)
    axes.set_xlabel("epoch")
    axes.set_ylim(-0.02, 1.04)
    axes.xaxis.get_major_locator().set_params(integer=True)


def _curve(training: Training, key: str) -> tuple[list[int], list[float]]:
    epochs = [int(row["epoch"]) for row in training.history]
    return epochs, [float(row[key] or "nan") for row in training.history]


def _mark_selected(axes, training: Training) -> None:
    epoch = training.record.get("selected_epoch")
    values = dict(zip(*_curve(training, "validation_robust"), strict=True))
    if epoch in values:
        axes.axvline(epoch, color=style.ink(), linewidth=0.5, linestyle=":", zorder=0)
        look = {"marker": "v", "s": 26, "color": style.ink(), "zorder": 4, "linewidth": 0}
        axes.scatter(epoch, values[epoch] + 0.03, **look)
