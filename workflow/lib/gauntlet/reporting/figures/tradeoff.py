"""Clean against worst-case robust accuracy, a mark per defense."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from gauntlet.core.records import read_rows
from gauntlet.reporting import findings
from gauntlet.reporting.figures import style
from gauntlet.reporting.figures.standings import standings
from gauntlet.reporting.figures.values import (
    UPPER_BOUND,
    clean_value,
    main_threat,
    sample_text,
    several_seeds,
    split,
    strongest,
    value,
)
from gauntlet.reporting.formatting import threat_label


def tradeoff(robustness: str, *, spec: dict) -> Figure:
    """Draw a mark per defense at the study's main norm and eps."""
    rows = read_rows(robustness)
    return draw(rows, spec.get("kinds", {}))


def draw(rows: Sequence[dict], kinds: dict | None = None) -> Figure:
    """Draw the study's main threat model; `rows` are those of robustness.csv, as texts."""
    threat = main_threat(rows)
    if threat is None:
        return style.empty("No white-box attack of this study has an eps: nothing to set against.")
    panels = split(rows, "dataset", "model")
    looks = style.looks(split(rows, "defense"))
    labels, size = style.labels(list(looks)), style.roomy(len(looks), (5.4, 4.2))
    figure, axes = style.grid(len(panels), 2, size, extra=1.3)
    for (name, mine), place in zip(panels.items(), axes, strict=True):
        for defense, own in split(mine, "defense").items():
            look = looks[defense] | {"label": labels[defense]}
            _mark(place, own, strongest(own, threat), look)
        _finish(place, threat)
        place.set_title(" · ".join(name))
    style.legend(figure, *axes[0].get_legend_handles_labels())
    told = findings.price_sentence(standings(rows, threat), kinds or {}, threat)
    told = f"{told} " if told and len(panels) == 1 else ""
    seeds = "Mark: mean over seeds, small: each seed; cross" if several_seeds(rows) else "Cross"
    style.note(
        figure,
        f"{told}{sample_text(rows)}. {seeds}: Wilson 95 % intervals for n; dotted: nothing "
        f"lost under attack. {UPPER_BOUND}",
    )
    return figure


def _mark(axes, rows: Sequence[dict], hardest: Sequence[dict], look: dict) -> None:
    clean, robust = clean_value(rows), value(hardest)
    if robust is None:
        return
    color, marker = look["color"], look["marker"]
    bars = {"fmt": "none", "ecolor": color, "elinewidth": 1, "alpha": 0.7}
    axes.errorbar(clean.mean, robust.mean, robust.reach, clean.reach, **bars)
    if len(robust.seeds) > 1:
        seeds = [float(row["clean_accuracy"]) for row in hardest]
        axes.scatter(seeds, robust.seeds, s=14, marker=marker, color=color, alpha=0.45, linewidth=0)
    big = {"s": 75, "edgecolor": style.ink(), "linewidth": 0.8, "zorder": 3}
    axes.scatter(clean.mean, robust.mean, color=color, marker=marker, label=look["label"], **big)
    style.number_mark(axes, look["label"], (clean.mean, robust.mean))


def _finish(axes, threat: tuple[str, str]) -> None:
    low, high = axes.get_xlim()
    low, high = max(-0.02, low - 0.01), min(1.004, high + 0.01)
    axes.plot([0, 1], [0, 1], color=style.ink(), linewidth=0.8, linestyle=":", zorder=0)
    axes.set_xlim(low, high)
    axes.set_ylim(-0.03, 1.03)
    style.percent_axis(axes.xaxis, "clean test accuracy (%)")
    style.percent_axis(axes.yaxis, f"worst-case test accuracy at {threat_label(*threat)} (%)")
