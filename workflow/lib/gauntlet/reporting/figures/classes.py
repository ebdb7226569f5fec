"""Worst-case accuracy by class and defense, as a table of shades."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from gauntlet.core.records import read_rows
from gauntlet.evaluation.metrics import wilson
from gauntlet.reporting.figures import style
from gauntlet.reporting.figures.values import main_threat, read_records
from gauntlet.reporting.formatting import threat_label

MOST = 20  # classes that can be read in one panel
SHADES = "cividis"  # even in lightness, also for color-blind readers


def classes(robustness: str, records: list[str], data: list[str], *, spec: dict) -> Figure:
    """Draw the study's main norm and eps; `records` are the evaluations' JSON.

    `data` are the data.json of spec["datasets"], in that order.
    """
    found, described = read_records(records), read_records(data)
    names = {n: d["classes"] for n, d in zip(spec["datasets"], described, strict=True)}
    threat = main_threat(read_rows(robustness))
    return draw(found, names, threat)


def draw(records: Sequence[dict], names: dict[str, list[str]], threat: tuple | None) -> Figure:
    """Draw the accuracy at (norm, eps) by class.

    `records` are the evaluations' JSON; `names` gives the classes of each data set. A model on
    which an attack of this threat failed is left out.
    """
    records = [record for record in records if threat and _threshold(record, threat)]
    if not records:
        return style.empty("No white-box attack of this study has an eps: no class to compare.")
    panels: dict[tuple, dict[str, list[dict]]] = {}
    for record in records:
        models = panels.setdefault((record["dataset"], record["model"]), {})
        models.setdefault(record["defense"], []).append(_threshold(record, threat))
    lines = max(len(models) for models in panels.values())
    columns = max(len(_counts(models)) for models in panels.values()) + 1
    size = (2.2 + 0.52 * max(8, min(columns, MOST + 1)), 0.32 * lines + 1.0)
    figure, axes = style.grid(len(panels), 1, size, extra=0.8)
    for (name, models), place in zip(panels.items(), axes, strict=True):
        counts = _counts(models)
        labels = _hardest(models, counts)
        words = [style.class_name(names.get(name[0], []), label) for label in labels]
        _panel(place, _table(models, labels), list(models), [*words, "all"])
        place.set_title(f"{' · '.join(name)}, {_span(counts)} test images a class")
    style.note(figure, _note(records, threat, columns - 1))
    return figure


def _threshold(record: dict, threat: tuple) -> dict | None:
    """Find a record's part for (norm, eps), if it has one; eps as text."""
    parts = (t for t in record["thresholds"] if (t["norm"], str(t["eps"])) == threat)
    return next(parts, None)


def _counts(models: dict[str, list[dict]]) -> dict[int, int]:
    """Give the number of images of each class label, the same for all models."""
    first = next(iter(models.values()))[0]
    return {row["label"]: row["n"] for row in first["classes"]}


def _accuracies(seeds: list[dict]) -> dict[int, float]:
    rows = [{row["label"]: row["robust_accuracy"] for row in seed["classes"]} for seed in seeds]
    return {label: float(np.mean([row[label] for row in rows])) for label in rows[0]}


def _hardest(models: dict[str, list[dict]], counts: dict[int, int]) -> list[int]:
    """Give all labels, or those that are hardest on average if there are too many to read."""
    if len(counts) <= MOST:
        return list(counts)
    found = [_accuracies(seeds) for seeds in models.values()]
    mean = {label: np.mean([one[label] for one in found]) for label in counts}
    return sorted(sorted(counts, key=mean.get)[:MOST])


def _table(models: dict[str, list[dict]], labels: list[int]) -> np.ndarray:
    """Give accuracies [models, labels + 1]; the last column is over all images."""
    counts, rows = _counts(models), []
    for seeds in models.values():
        found = _accuracies(seeds)
        whole = sum(found[label] * n for label, n in counts.items()) / sum(counts.values())
        rows.append([*(found[label] for label in labels), whole])
    return np.array(rows)


def _span(counts: dict[int, int]) -> str:
    low, high = min(counts.values()), max(counts.values())
    return str(low) if low == high else f"{low} to {high}"


def _panel(axes, values: np.ndarray, models: list[str], words: list[str]) -> None:
    shades = axes.imshow(values, cmap=SHADES, vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        color = "white" if value < 0.55 else "black"
        weight = "bold" if column == len(words) - 1 else "normal"
        text = f"{100 * value:.0f}"
        axes.text(
            column, row, text, ha="center", va="center", color=color, fontsize=8, weight=weight
        )
    axes.axvline(len(words) - 1.5, color=style.paper(), linewidth=3)
    axes.set_yticks(range(len(models)), models)
    tilt = {"rotation": 30, "ha": "right"} if max(map(len, words)) > 5 else {}
    axes.set_xticks(range(len(words)), words, **tilt)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    bar = axes.figure.colorbar(shades, ax=axes, fraction=0.03, pad=0.015)
    style.percent_axis(bar.ax.yaxis, "accuracy (%)")


def _note(records: Sequence[dict], threat: tuple, classes: int) -> str:
    seeds = list(dict.fromkeys(str(record["seed"]) for record in records))
    first = _threshold(records[0], threat)
    low, high = wilson(0.5, min(row["n"] for row in first["classes"]))
    cut = f" Only the {MOST} least robust classes are shown." if classes > MOST else ""
    word = "seed" if len(seeds) == 1 else "mean over seeds"
    return (
        f"Test accuracy (%) by true class under the worst case of {', '.join(first['attacks'])} "
        f"({threat_label(*threat)}), {word} {', '.join(seeds)}; an upper bound of true "
        f"robustness. A class has few images: its Wilson 95 % interval reaches up to "
        f"± {50 * (high - low):.0f} points.{cut}"
    )
