"""Worst-case robust accuracy against what the training cost, in passes and in seconds."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from gauntlet.core.records import read_rows
from gauntlet.evaluation.summary import MODEL
from gauntlet.reporting import findings
from gauntlet.reporting.figures import style
from gauntlet.reporting.figures.standings import standings
from gauntlet.reporting.figures.values import (
    UPPER_BOUND,
    main_threat,
    sample_text,
    split,
    strongest,
    value,
)
from gauntlet.reporting.formatting import threat_label
from gauntlet.reporting.training_costs import costs_of

AXES = {
    "passes": "training passes of an image, forward + backward",
    "seconds": "seconds of a training",
}


def compute(robustness: str, timings: str, *, spec: dict) -> Figure:
    """Draw a mark per trained defense at the study's main norm and eps."""
    return draw(read_rows(robustness), read_rows(timings), spec.get("kinds", {}))


def draw(rows: Sequence[dict], timings: Sequence[dict], kinds: dict) -> Figure:
    """Draw two panels for each data set and model; rows are those of the CSV tables, as texts."""
    threat, costs = main_threat(rows), costs_of(timings)
    trained = [row for row in rows if tuple(row[name] for name in MODEL) in costs]
    if threat is None or not trained:
        return style.empty("No model of this study was trained and attacked within an eps.")
    looks = style.looks(split(trained, "defense"))
    panels = split(trained, "dataset", "model")
    labels, size = style.labels(list(looks)), style.roomy(len(looks), (5.0, 4.0))
    figure, axes = style.grid(2 * len(panels), 2, size, extra=1.6, sharey="row")
    told = []
    for number, (name, mine) in enumerate(panels.items()):
        models = split(mine, "defense")
        own = {defense: costs[(*name, defense)] for defense in models}
        for place, axis in zip(axes[2 * number :], AXES, strict=False):
            shown = {d: (own[d], strongest(seeds, threat)) for d, seeds in models.items()}
            _panel(place, axis, shown, looks, labels)
            place.set_title(" · ".join(name))
        style.percent_axis(
            axes[2 * number].yaxis, f"worst-case accuracy at {threat_label(*threat)} (%)"
        )
        told += findings.compute_sentences(standings(mine, threat, own), kinds)
    style.legend(figure, *_handles(axes))
    style.note(figure, _note(rows, told))
    return figure


def _panel(axes, axis: str, models: dict, looks: dict, labels: dict[str, str]) -> None:
    """Draw a mark per defense; `models` gives the cost and the seeds' rows of each."""
    for defense, (cost, hardest) in models.items():
        robust, spent = value(hardest), getattr(cost, axis)
        if robust is None or not spent:
            continue
        look = {key: looks[defense][key] for key in ("color", "marker")}
        bars = {"fmt": "none", "ecolor": look["color"], "elinewidth": 1, "alpha": 0.6}
        axes.errorbar([spent], [robust.mean], robust.reach, **bars)
        big = {"s": 60, "edgecolor": style.ink(), "linewidth": 0.8, "zorder": 3}
        axes.scatter([spent], [robust.mean], label=labels[defense], **look, **big)
        style.number_mark(axes, labels[defense], (spent, robust.mean))
    axes.set_xscale("log")
    style.plain_log_axis(axes.xaxis, AXES[axis])
    axes.set_ylim(-0.03, 1.03)


def _handles(axes: Sequence) -> tuple[list, list[str]]:
    """Give each defense's mark once, whichever panel shows it."""
    found: dict[str, object] = {}
    for place in axes:
        for handle, label in zip(*place.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return list(found.values()), list(found)


def _note(rows: Sequence[dict], told: Sequence[str]) -> str:
    return " ".join(
        [
            *told,
            f"{sample_text(rows)}. Mark: mean over seeds; line: Wilson 95 % interval for n. Passes "
            "are counted for one training image in all epochs, without validation; seconds were "
            "measured, validation included, while other jobs ran beside.",
            UPPER_BOUND,
        ]
    )
