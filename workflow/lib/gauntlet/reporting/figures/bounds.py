"""Certified and robust accuracy as intervals, a bar per defense."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from gauntlet.core.records import read_rows
from gauntlet.evaluation.attack_ledger import SELF
from gauntlet.reporting.figures import style
from gauntlet.reporting.figures.values import (
    Value,
    clean_value,
    measured,
    sample_text,
    several_seeds,
    split,
    strongest,
    value,
)
from gauntlet.reporting.formatting import threat_label

NOTHING = (
    "No deterministic certificate of this study has the norm of one of its attacks. Name one under "
    "certificates, such as crown, to see the interval from certified to robust accuracy."
)
BAR = {"facecolor": "#BFD7EA", "edgecolor": "#333333", "hatch": "////", "linewidth": 0.8}
LOWER, UPPER, CLEAN = "^", "v", "_"
WIDTH = 0.4
ASIDE = {LOWER: -0.1, UPPER: 0.1, CLEAN: 0.0}  # so that intervals do not cover each other


def bounds(robustness: str, *, spec: dict) -> Figure:
    """Draw an interval per model wherever a certificate and an attack meet."""
    rows = read_rows(robustness)
    return draw(rows)


def draw(rows: Sequence[dict]) -> Figure:
    """Draw every (norm, eps) that has both bounds; `rows` are those of robustness.csv, as texts."""
    own = [row for row in rows if row["source"] == SELF]
    met = [row for row in own if row.get("certified_accuracy") not in ("", None)]
    order = list(dict.fromkeys((r["dataset"], r["model"], r["norm"]) for r in met))
    panels = dict.fromkeys((r["dataset"], r["model"], r["norm"], r["eps"]) for r in met)
    panels = sorted(panels, key=lambda panel: (order.index(panel[:3]), float(panel[3])))
    if not panels:
        return style.empty(NOTHING)
    defenses = max(len(split(mine, "defense")) for mine in split(own, "dataset", "model").values())
    figure, axes = style.grid(len(panels), 2, (max(4.6, 1 + 0.8 * defenses), 3.6), extra=1.2)
    for (dataset, model, norm, eps), place in zip(panels, axes, strict=True):
        mine = [row for row in own if (row["dataset"], row["model"]) == (dataset, model)]
        _panel(place, split(mine, "defense"), (norm, eps))
        place.set_title(" · ".join([dataset, model, threat_label(norm, eps)]))
    style.legend(figure, *_legend())
    style.note(
        figure,
        f"{sample_text(own)}. Numbers: lower and upper bound in %. Upright lines: Wilson 95 % "
        f"intervals{' of the mean over seeds' * several_seeds(own)} for n. Eps in units of "
        "images in [0, 1]. True robust accuracy on these images "
        "lies within the bar.",
    )
    return figure


def _panel(axes, models: dict[str, list[dict]], threat: tuple[str, str]) -> None:
    for place, rows in enumerate(models.values()):
        hardest = measured(strongest(rows, threat))
        low, high = value(hardest, "certified"), _lowest(hardest)
        _level(axes, place, clean_value(rows), CLEAN)
        if low is not None and high is not None:
            axes.bar(place, high.mean - low.mean, WIDTH, low.mean, **BAR)
            axes.annotate(
                f"{100 * low.mean:.0f} to {100 * high.mean:.0f}",
                (place + WIDTH / 2, (low.mean + high.mean) / 2),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
            )
        for found, marker in ((low, LOWER), (high, UPPER)):
            if found is not None:
                _level(axes, place, found, marker)
    axes.set_xticks(range(len(models)), models, rotation=20 if len(models) > 4 else 0)
    axes.set_xlim(-0.5, len(models) - 0.2)
    axes.set_ylim(-0.04, 1.06)
    axes.set_xlabel("defense")
    axes.grid(visible=False, axis="x")
    style.percent_axis(axes.yaxis, "test accuracy (%)")


def _lowest(rows: Sequence[dict]) -> Value | None:
    """Give robust accuracy of the attack that leaves least, or of the worst case."""
    found = [value(mine) for mine in split(rows, "attack").values()]
    return min(found, key=lambda one: one.mean, default=None)


def _level(axes, place: float, found: Value, marker: str) -> None:
    place += ASIDE[marker]
    line = {"fmt": "none", "ecolor": style.ink(), "elinewidth": 0.9, "capsize": 3}
    axes.errorbar(place, found.mean, found.reach, **line)
    size = 320 if marker == CLEAN else 46
    look = {"color": style.ink()} | ({} if marker == CLEAN else {"edgecolor": style.paper()})
    axes.scatter(place, found.mean, s=size, marker=marker, zorder=4, **look)


def _legend() -> tuple[list, list[str]]:
    marks = {LOWER: "certified (lower bound)", UPPER: "robust (upper bound)", CLEAN: "clean"}
    handles = [
        Line2D([], [], color=style.ink(), marker=marker, linestyle="none", markersize=7)
        for marker in marks
    ]
    return [*handles, Patch(**BAR)], [*marks.values(), "true robust accuracy lies here"]
