"""What examples made against one model do to the others: source by target."""

from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.figure import Figure

from gauntlet.core.records import read_rows
from gauntlet.evaluation.attack_ledger import SELF
from gauntlet.evaluation.metrics import WORST
from gauntlet.reporting.figures import style
from gauntlet.reporting.figures.values import sample_text, split, value

NOTHING = (
    "No examples are transferred in this study. Give it transfer: {source: all, attacks: [...]} to "
    "see what examples made against one model do to the others."
)


def transfer(robustness: str, *, spec: dict) -> Figure:
    """Draw a matrix of source and target for every attack that is transferred."""
    rows = read_rows(robustness)
    return draw(rows, spec["defenses"])


def draw(rows: Sequence[dict], defenses: Sequence[str]) -> Figure:
    """Draw a matrix per data set, model and attack; `rows` as in robustness.csv."""
    moved = [row for row in rows if row["source"] != SELF]
    groups = split(moved, "dataset", "model", "attack", "norm", "eps")
    if not groups:
        return style.empty(NOTHING)
    side = 1.6 + 0.62 * len(defenses)
    figure, axes = style.grid(len(groups), 2, (side + 0.9, side), extra=0.9)
    for (name, mine), place in zip(groups.items(), axes, strict=True):
        own = [row for row in rows if row["source"] == SELF and row["attack"] != WORST]
        same = ("dataset", "model", "attack", "norm", "eps")
        own = [row for row in own if tuple(row[key] for key in same) == name]
        _matrix(place, [*mine, *own], defenses, name)
    style.note(
        figure,
        f"{sample_text(rows)}. Robust accuracy in % (mean over seeds) of the model in the column "
        "under examples made against the model in the row, of full strength, from one random "
        "start; framed: white-box, the attack itself. Empty: not part of the study. Only the "
        "white-box numbers speak of robustness.",
    )
    return figure


def _matrix(axes, rows: Sequence[dict], defenses: Sequence[str], name: tuple) -> None:
    found = split(rows, "source", "defense")
    shades = mpl.colormaps["cividis"]
    for down, source in enumerate(defenses):
        for across, target in enumerate(defenses):
            own = source == target
            cell = value(found.get((SELF if own else source, target), []))
            if cell is not None:
                box = {"edgecolor": "#D55E00" if own else "white", "linewidth": 2.2 if own else 0.8}
                shade = shades(cell.mean)
                spot = mpl.patches.Rectangle((across, down), 0.94, 0.94, facecolor=shade, **box)
                axes.add_patch(spot)
                ink = "black" if cell.mean > 0.55 else "white"
                text = f"{100 * cell.mean:.0f}"
                axes.text(across + 0.47, down + 0.47, text, ha="center", va="center", color=ink)
    _frame(axes, defenses, name)


def _frame(axes, defenses: Sequence[str], name: tuple) -> None:
    dataset, model, attack, norm, eps = name
    places = [place + 0.47 for place in range(len(defenses))]
    axes.set_xlim(-0.06, len(defenses))
    axes.set_ylim(len(defenses), -0.06)
    axes.set_aspect("equal")
    axes.grid(False)
    axes.set_xticks(places, defenses, rotation=40, ha="right")
    axes.set_yticks(places, defenses)
    axes.set_xlabel("shown to (target)")
    axes.set_ylabel("made against (source)")
    axes.set_title(f"{dataset} · {model}\n{attack}, {norm} {float(eps):.3g}")
    for side in axes.spines.values():
        side.set_visible(False)
