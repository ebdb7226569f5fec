"""Robust accuracy against eps, a line per defense."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from gauntlet.core.records import read_rows
from gauntlet.evaluation.attack_ledger import SELF
from gauntlet.evaluation.metrics import WORST
from gauntlet.reporting.figures import style
from gauntlet.reporting.figures.values import (
    clean_value,
    measured,
    read_records,
    sample_text,
    several_seeds,
    split,
    value,
)

NOTHING = (
    "No attack of this study has several eps. Give one a list, such as eps: [0.05, 0.1, 0.2], "
    "and name it in the study's attacks to see robust accuracy against eps."
)


def curves(robustness: str, records: list[str], *, spec: dict) -> Figure:
    """Draw a line per defense for every attack with several eps."""
    rows, found = read_rows(robustness), read_records(records)
    return draw(rows, found)


def draw(rows: Sequence[dict], records: Sequence[dict] = ()) -> Figure:
    """Draw attacks with several eps, and worst cases over them; `rows` as in robustness.csv.

    `records` are the evaluations' JSON: an attack that looked for the nearest example is drawn by
    the distances that it found, as a staircase.
    """
    own = [row for row in measured(rows) if row["source"] == SELF and row["attack"] != WORST]
    groups = split(own, "dataset", "model", "attack", "norm")
    groups = {name: mine for name, mine in groups.items() if len(split(mine, "eps")) > 1}
    if not groups:
        return style.empty(NOTHING)
    looks = style.looks(split(rows, "defense"))
    figure, axes = style.grid(len(groups), 2, (6.2, 4.0), extra=1.3)
    for (name, mine), place in zip(groups.items(), axes, strict=True):
        for defense, curve in split(mine, "defense").items():
            stairs = _stairs(records, curve[0])
            _curve(place, defense, curve, looks[defense], not stairs)
            for eps, accuracy in stairs:
                place.step(eps, accuracy, where="post", **_thin(looks[defense]))
            _worst(place, _worst_rows(rows, curve[0]), looks[defense])
        _finish(place, mine, name)
    style.legend(figure, *axes[0].get_legend_handles_labels())
    seeds = "mean over seeds, band: lowest to highest seed; " if several_seeds(rows) else ""
    style.note(
        figure,
        f"{sample_text(rows)}. Line: {seeds}from clean accuracy at eps 0; upright bars: Wilson "
        "95 % interval for n. Large hollow marks: worst case per image over all white-box attacks "
        "run at that norm and eps, where there are several. Thin stairs: nearest examples that a "
        "minimal-distance attack found, a line a seed. All are upper bounds of true robustness.",
    )
    return figure


def _worst_rows(rows: Sequence[dict], like: dict) -> list[dict]:
    same = ("dataset", "model", "defense", "norm")
    return [r for r in rows if r["attack"] == WORST and all(r[k] == like[k] for k in same)]


def _stairs(records: Sequence[dict], like: dict) -> list[tuple[list[float], list[float]]]:
    """Give robust accuracy against distance, a staircase per seed, of a minimal-distance attack."""
    same = ("dataset", "model", "defense")
    found = []
    for record in records:
        if all(str(record[name]) == like[name] for name in same):
            mine = [c for c in record["costs"] if c["attack"] == like["attack"] and c["minimal"]]
            if mine:
                last = max(mine, key=lambda cost: cost["eps"])
                left = [
                    (last["clean"] - success) / last["n"]
                    for success in range(len(last["distances"]) + 1)
                ]
                found.append(([0.0, *last["distances"]], left))
    return found


def _thin(look: dict) -> dict:
    return {
        "color": look["color"],
        "linewidth": 1.1,
        "alpha": 0.9,
        "linestyle": look["linestyle"],
    }


def _curve(axes, defense: str, rows: Sequence[dict], look: dict, joined: bool) -> None:
    found = {0.0: clean_value(rows)}
    found |= {float(eps): value(mine) for eps, mine in split(rows, "eps").items()}
    eps = sorted(found)
    values = [found[x] for x in eps]
    means = [v.mean for v in values]
    reach = [[v.reach[side][0] for v in values] for side in (0, 1)]
    shown = look if joined else look | {"linestyle": "none"}
    axes.plot(eps, means, label=defense, markersize=5, **shown)
    axes.errorbar(eps, means, reach, fmt="none", ecolor=look["color"], elinewidth=0.8, alpha=0.6)
    if not joined:
        return
    low, high = [min(v.seeds) for v in values], [max(v.seeds) for v in values]
    axes.fill_between(eps, low, high, color=look["color"], alpha=0.15, linewidth=0)


def _worst(axes, rows: Sequence[dict], look: dict) -> None:
    hollow = {"facecolor": "none", "edgecolor": look["color"], "marker": look["marker"]}
    for eps, mine in split(rows, "eps").items():
        axes.scatter(float(eps), value(mine).mean, s=120, linewidth=1.3, zorder=4, **hollow)


def _finish(axes, rows: Sequence[dict], name: tuple) -> None:
    *names, attack, norm = name
    unit = "in the images' range [0, 1]" if norm == "linf" else "of images in [0, 1]"
    axes.set_title(" · ".join([*names, attack]))
    axes.set_xlabel(f"{'sigma' if norm == 'noise' else f'{norm} radius eps'}, {unit}")
    axes.set_ylim(-0.02, 1.03)
    axes.set_xlim(left=-0.015 * axes.get_xlim()[1])
    style.percent_axis(axes.yaxis, f"test accuracy under {attack} (%)")
