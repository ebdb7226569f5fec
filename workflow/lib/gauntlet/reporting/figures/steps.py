"""What steps before models are worth: naive beside adaptive accuracy."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from gauntlet.core.records import read_json
from gauntlet.evaluation.metrics import wilson
from gauntlet.evaluation.summary import mean_std
from gauntlet.reporting.figures import style
from gauntlet.reporting.figures.values import split
from gauntlet.reporting.formatting import percent, threat_label

BARS = {
    "clean_accuracy": ("clean", {"facecolor": "none"}),
    "naive_accuracy": ("naive: the attack does not know the step", {"hatch": "////"}),
    "adaptive_accuracy": ("adaptive: attacked through the step", {"facecolor": "#7A7A7A"}),
}
WIDTH = 0.27
FALLS = 0.05  # a step that loses more between naive and adaptive has fallen


def steps(rows: str, *, spec: dict) -> Figure:
    """Draw a panel for each model, norm and eps of preprocess.json."""
    return draw(read_json(rows)["rows"])


def draw(rows: Sequence[dict]) -> Figure:
    """Draw three bars for each step, and the model alone as a line; rows are those of all seeds."""
    if not rows:
        return style.empty("This study puts no step before its models.")
    panels = split(rows, "dataset", "model", "defense", "norm", "eps")
    most = max(len(split(mine, "preprocess")) for mine in panels.values())
    figure, axes = style.grid(len(panels), 1, (float(np.clip(1.5 + 0.9 * most, 6, 14)), 2.9), 1.4)
    for (name, mine), place in zip(panels.items(), axes, strict=True):
        _panel(place, mine)
        place.set_title(f"{' · '.join(name[:3])}, {threat_label(*name[3:])}; {_alone(mine)}")
    looks = [Patch(label=text, **_look(look)) for text, look in BARS.values()]
    style.legend(figure, looks, [text for text, _ in BARS.values()])
    style.note(figure, _note(rows))
    return figure


def _look(look: dict) -> dict:
    return {"facecolor": "#56B4E9", "edgecolor": style.ink(), "linewidth": 0.8} | look


def _panel(axes, rows: Sequence[dict]) -> None:
    models = split(rows, "preprocess")
    for shift, (column, (_, look)) in zip((-1, 0, 1), BARS.items(), strict=True):
        found = [_mean_and_ends(own, column) for own in models.values()]
        _bars(axes, np.arange(len(models)) + shift * WIDTH, found, _look(look))
    axes.axhline(_without(rows), color=style.ink(), linewidth=0.9, linestyle="--")
    axes.set_xticks(range(len(models)), models)
    axes.set_xlim(-0.5, len(models) - 0.5)
    axes.set_ylim(0, 1.14)
    axes.grid(visible=False, axis="x")
    style.percent_axis(axes.yaxis, "test accuracy (%)")


def _without(rows: Sequence[dict]) -> float:
    """Give the accuracy of the model alone under attack, a mean over seeds."""
    return mean_std(list({row["seed"]: row for row in rows}.values()), "without_step")[0]


def _alone(rows: Sequence[dict]) -> str:
    return f"no step: {percent(_without(rows))} %"


def _mean_and_ends(rows: Sequence[dict], column: str) -> tuple[float, float, float]:
    mean = mean_std(rows, column)[0]
    return (mean, *wilson(mean, int(rows[0]["n"])))


def _bars(axes, places: np.ndarray, found: Sequence[tuple], look: dict) -> None:
    """Draw bars with intervals, and numbers above them."""
    means, lows, highs = (np.array(values) for values in zip(*found, strict=True))
    axes.bar(places, means, WIDTH * 0.9, **look)
    line = {"fmt": "none", "ecolor": style.ink(), "elinewidth": 0.9}
    axes.errorbar(places, means, [means - lows, highs - means], **line)
    for x, mean, high in zip(places, means, highs, strict=True):
        axes.text(x, high + 0.01, f"{100 * mean:.0f}", ha="center", va="bottom", fontsize=6.5)


def _note(rows: Sequence[dict]) -> str:
    counts, seeds = (list(dict.fromkeys(str(row[k]) for row in rows)) for k in ("n", "seed"))
    return (
        f"{sentence(rows)} n = {' or '.join(counts)} test images, seeds {', '.join(seeds)}; lines: "
        "Wilson 95 % intervals for n. Dashed: the model alone under the same attacks. Adaptive: "
        "the worst case of the naive examples and of an attack through the step; only it says what "
        "a step is worth."
    )


def sentence(rows: Sequence[dict]) -> str:
    """Say which step falls furthest once the attack knows it, and whether any helps."""
    models = split(rows, "dataset", "model", "defense", "norm", "eps", "preprocess")
    values = {
        name: [mean_std(own, c)[0] for c in ("naive_accuracy", "adaptive_accuracy", "without_step")]
        for name, own in models.items()
    }
    falls = max(values, key=lambda name: values[name][0] - values[name][1])
    naive, adaptive, _ = values[falls]
    gains = [name for name, (_, known, alone) in values.items() if known > alone + FALLS]
    told = (
        f"Steps on the input side fall to attacks that know them: {falls[-1]} before {falls[2]} "
        f"drops from {percent(naive)} % to {percent(adaptive)} %."
        if naive - adaptive > FALLS
        else "No step loses much once the attack knows it."
    )
    helped = ", ".join(dict.fromkeys(f"{name[-1]} before {name[2]}" for name in gains))
    points = f"{100 * FALLS:.0f} points"
    rest = (
        f"More than {points} above the model alone: {helped}."
        if gains
        else (f"None keeps the model more than {points} above what it withstands alone.")
    )
    return f"{told} {rest}"
