"""Robust accuracy against what an attack had spent: strength per pass."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from gauntlet.reporting.figures import style
from gauntlet.reporting.figures.values import read_records
from gauntlet.reporting.formatting import threat_label

NOTHING = "No white-box attack of this study says how many passes it took."


def passes(records: list[str], *, spec: dict) -> Figure:
    """Draw a line per attack for every defense; `records` are the evaluations' JSON."""
    found = read_records(records)
    return draw(found)


def draw(records: Sequence[dict]) -> Figure:
    """Draw a line per attack: the share of images still robust after so many passes.

    There is a panel for every model of the first seed.

    `records` are the evaluations' JSON; of an attack with several eps the largest is drawn.
    """
    first = min((record["seed"] for record in records), default=None)
    mine = [record for record in records if record["seed"] == first]
    names = list(dict.fromkeys(cost["attack"] for record in mine for cost in _shown(record)))
    if not names:
        return style.empty(NOTHING)
    looks = style.looks(names)
    figure, axes = style.grid(len(mine), 2, (5.6, 3.4), extra=1.2, sharey=True)
    for record, place in zip(mine, axes, strict=True):
        for cost in _shown(record):
            _line(place, cost, looks[cost["attack"]])
        _finish(place, record)
    handles = {
        label: line
        for place in axes
        for line, label in zip(*place.get_legend_handles_labels(), strict=True)
    }
    style.legend(figure, list(handles.values()), list(handles))
    counts = sorted({cost["n"] for record in mine for cost in record["costs"]})
    style.note(
        figure,
        f"n = {' or '.join(map(str, counts))} test images, seed {first}. Share of them that are "
        "still right after so many forward passes each (one query or gradient step is a pass). "
        "A line ends at the last success; the mark is its final value. Attacks of different "
        "norm or eps are not to be compared with each other.",
    )
    return figure


def _shown(record: dict) -> list[dict]:
    """Give each attack's cost at its largest eps, if it counted passes."""
    largest: dict[str, dict] = {}
    for cost in record["costs"]:
        best = largest.get(cost["attack"])
        if best is None or cost["eps"] > best["eps"]:
            largest[cost["attack"]] = cost
    return [cost for cost in largest.values() if any(cost["success_query"])]


def _line(axes, cost: dict, look: dict) -> None:
    passes = cost["success_query"]
    left = [(cost["clean"] - success) / cost["n"] for success in range(len(passes) + 1)]
    label = f"{cost['attack']} ({threat_label(cost['norm'], cost['eps'])})"
    plain = {key: look[key] for key in ("color", "linestyle")}
    axes.step([1, *passes], left, where="post", **plain)
    axes.plot(passes[-1], left[-1], label=label, markersize=5, **look)


def _finish(axes, record: dict) -> None:
    axes.set_title(" · ".join(record[name] for name in ("dataset", "model", "defense")))
    axes.set_xscale("log")
    axes.set_xlim(left=0.9)
    axes.set_xlabel("forward passes per image (count)")
    axes.set_ylim(-0.02, 1.03)
    style.percent_axis(axes.yaxis, "robust (%)")
