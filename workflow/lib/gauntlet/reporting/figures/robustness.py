"""Robust accuracy by defense and attack, as grouped bars."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from gauntlet.core.records import read_rows
from gauntlet.evaluation.metrics import WORST
from gauntlet.reporting import findings
from gauntlet.reporting.figures import style
from gauntlet.reporting.figures.standings import standings
from gauntlet.reporting.figures.values import (
    UPPER_BOUND,
    Value,
    at,
    clean_value,
    main_threat,
    sample_text,
    several_seeds,
    split,
    value,
)
from gauntlet.reporting.headline import Column, column_labels, headline, threats_text

CLEAN = Column("clean", "", "", "")
WORST_GRAY = "#7A7A7A"
SPAN = 0.86  # of a defense's place; the rest is space
NUMBERED = 70  # so many bars of a panel can bear numbers


def robustness(robustness: str, *, spec: dict) -> Figure:
    """Draw grouped bars of the study's short table."""
    rows = read_rows(robustness)
    return draw(rows, spec.get("kinds", {}))


def draw(rows: Sequence[dict], kinds: dict | None = None) -> Figure:
    """Draw the short table's accuracies; `rows` are those of robustness.csv, as texts."""
    if not rows:
        return style.empty("No model of this study has been evaluated.")
    columns = headline(rows)
    panels = split(rows, "dataset", "model")
    bars = (len(columns) + 1) * max(len(split(mine, "defense")) for mine in panels.values())
    width = float(np.clip(1 + 0.21 * bars, 7, 15))
    figure, axes = style.grid(len(panels), 1, (width, 3.2), extra=1.2)
    for (name, mine), place in zip(panels.items(), axes, strict=True):
        _bars(place, split(mine, "defense"), [CLEAN, *columns])
        place.set_title(" · ".join(name))
    looks = _looks([CLEAN, *columns])
    labels = ["clean", *column_labels(columns).values()]
    patches = [Patch(**look) for look in looks.values()]
    style.legend(figure, patches, labels)
    style.note(figure, " ".join([*_told(rows, kinds or {}), _note(rows, columns)]))
    return figure


def _told(rows: Sequence[dict], kinds: dict) -> list[str]:
    """Say what the numbers show of noise and of single-step training, at the main threat model."""
    threat = main_threat(rows)
    panels = split(rows, "dataset", "model")
    if threat is None or len(panels) > 1:
        return []
    found = standings(rows, threat)
    told = (
        findings.noise_sentence(found, kinds, threat),
        findings.collapse_sentence(found, kinds),
    )
    return list(filter(None, told))


def _note(rows: Sequence[dict], columns: Sequence[Column]) -> str:
    several = several_seeds(rows)
    bars = "Bar: mean over seeds; dots: each seed; line" if several else "Line"
    return (
        f"{sample_text(rows)}. {bars}: Wilson 95 % interval{' of the mean' * several} for n. "
        f"{threats_text(columns)}. {UPPER_BOUND}"
    )


def _bars(axes, models: dict[str, list[dict]], columns: Sequence[Column]) -> None:
    """Draw a bar for every model and column; rows of a model are those of its seeds."""
    width = SPAN / len(columns)
    numbered, looks = len(models) * len(columns) <= NUMBERED, _looks(columns)
    for i, column in enumerate(columns):
        shift, look = (i + 0.5) * width - SPAN / 2, looks[column]
        found = {
            place + shift: clean_value(mine) if column == CLEAN else value(at(mine, column))
            for place, mine in enumerate(models.values())
        }
        present = {x: one for x, one in found.items() if one is not None}
        if present:
            _series(axes, present, width, look, numbered)
    axes.set_xticks(range(len(models)), models, rotation=20 if len(models) > 8 else 0)
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=False, axis="x")
    axes.set_xlim(-0.5, len(models) - 0.5)
    axes.set_ylim(0, 1.14 if numbered else 1.02)
    axes.set_yticks(np.arange(0, 1.01, 0.2))
    style.percent_axis(axes.yaxis, "test accuracy (%)")


def _looks(columns: Sequence[Column]) -> dict[tuple, dict]:
    """Give clean bars no filling, worst cases a gray one, attacks a color and a hatch."""
    worst = [column for column in columns if column[0] == WORST]
    attacks = style.looks(column for column in columns if column != CLEAN and column not in worst)
    looks = {CLEAN: {"facecolor": "none", "edgecolor": style.ink(), "linewidth": 0.9}}
    for i, (column, look) in enumerate(attacks.items()):
        hatch = style.HATCHES[i % len(style.HATCHES)]
        edge = {"edgecolor": style.paper(), "linewidth": 0}
        looks[column] = {"facecolor": look["color"], "hatch": hatch} | edge
    for i, column in enumerate(worst):
        gray = {"facecolor": WORST_GRAY, "edgecolor": style.ink(), "linewidth": 0.9}
        looks[column] = gray | {"hatch": style.HATCHES[i % len(style.HATCHES)]}
    return {column: looks[column] for column in columns}


def _series(axes, found: dict[float, Value], width: float, look: dict, numbered: bool) -> None:
    """Draw the bars of one attack, with intervals and seeds side by side on top of them."""
    places, means = np.array(list(found)), [one.mean for one in found.values()]
    axes.bar(places, means, width * 0.9, **look)
    several = any(len(one.seeds) > 1 for one in found.values())
    reach = np.hstack([one.reach for one in found.values()])
    line = {"fmt": "none", "ecolor": style.ink(), "elinewidth": 1.0, "capsize": width * 8}
    axes.errorbar(places + several * width * 0.18, means, reach, **line)
    if several:
        seeds = [(x - width * 0.2, y) for x, one in found.items() for y in one.seeds]
        dots = {"s": 6, "color": style.paper(), "edgecolor": style.ink(), "linewidth": 0.6}
        axes.scatter(*zip(*seeds, strict=True), zorder=3, **dots)
    for x, one in found.items() if numbered else ():
        top, text = max(one.high, *one.seeds), f"{100 * one.mean:.0f}"
        axes.text(x, top + 0.015, text, ha="center", va="bottom", fontsize=6.5)
