"""What all figures share: colors that color-blind readers can distinguish, marks without color.

Nothing here uses pyplot or leaves a trace in Matplotlib's global settings.
"""

import textwrap
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.style
from matplotlib.figure import Figure

# After Okabe and Ito 2008, "Color Universal Design", ordered so that neighbors differ most.
COLORS = (
    *("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"),
    *("#56B4E9", "#661100", "#B8A400", "#332288", "#8C8C8C"),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "<", "*")
DASH, DOT = (5, 1.5), (1, 1.2)
LINES = (
    *("-", (0, DASH), (0, (*DASH, *DOT)), (0, DOT), (0, (9, 2))),
    *((0, (9, 2, 2, 2)), (0, (*DASH, *DOT, *DOT)), (0, (3, 3)), (0, (2, 4)), (0, (12, 2, 1, 2))),
)
LETTERS = 11  # of a class name
HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\", "oo", "++++", "----", "||||", "**")
OWN_COLORS = ("grayscale", "tableau-colorblind10")  # styles whose point is their colors
SHARED = {"svg.hashsalt": "gauntlet", "svg.fonttype": "path"}
PLAIN = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "axes.edgecolor": "#555555",
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.6,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
}


def render(draw: Callable[[], Figure], png: str | Path, svg: str | Path, settings: dict) -> None:
    """Draw a figure in the chosen style and save it twice; the same figure gives the same bytes.

    `settings` is the configuration's `figures`: `dpi` (of the PNG) and `style`.
    """
    own = PLAIN if settings["style"] == "default" else {}
    with matplotlib.style.context([settings["style"], SHARED | own]):
        if settings["style"] not in OWN_COLORS:
            mpl.rcParams["axes.prop_cycle"] = mpl.cycler(color=COLORS)
        figure = draw()
        figure.savefig(png, format="png", dpi=settings["dpi"], metadata={"Software": None})
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})


def looks(names: Iterable[Hashable]) -> dict[Hashable, dict]:
    """Give each name its own color, marker and line style, by its place.

    After ten names colors come again, each with another marker and line style than before.
    """
    colors = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
    return {
        name: {
            "color": colors[i % len(colors)],
            "marker": MARKERS[(i + 3 * (i // len(MARKERS))) % len(MARKERS)],
            "linestyle": LINES[(i + 3 * (i // len(LINES))) % len(LINES)],
        }
        for i, name in enumerate(names)
    }


def ink() -> str:
    """Give the color of text and outlines in the present style."""
    return mpl.rcParams["text.color"]


def paper() -> str:
    """Give the color of the axes' background in the present style."""
    return mpl.rcParams["axes.facecolor"]


def note(figure: Figure, text: str) -> None:
    """Write what a reader must know (n, seeds, intervals) below the figure."""
    width = int(figure.get_figwidth() * 17)
    figure.supxlabel(textwrap.fill(text, width), x=0.01, ha="left", fontsize=7.5)


def legend(figure: Figure, handles: list, labels: list[str]) -> None:
    """Write a legend above all axes, in as many columns as fit; none where nothing is drawn."""
    if not labels:
        return
    inches = 0.7 + 0.08 * max(map(len, labels))
    fitting = max(1, int((figure.get_figwidth() - 0.3) / inches))
    columns = -(-len(labels) // -(-len(labels) // fitting))  # so that rows have like lengths
    figure.legend(handles, labels, loc="outside upper left", ncols=columns, handlelength=3.2)


def class_name(names: Sequence[str], label: int) -> str:
    """Give a class's name, cut to what fits below a tile; the label itself where it has no name.

    A dollar sign is escaped: Matplotlib would read what follows as mathematics.
    """
    name = names[label] if label < len(names) else str(label)
    cut = name if len(name) <= LETTERS else name[: LETTERS - 1] + "…"
    return cut.replace("$", r"\$")


def roomy(count: int, size: tuple[float, float]) -> tuple[float, float]:
    """Give a panel's size in inches, larger where more than ten kinds of marks share it."""
    return size if count <= len(MARKERS) else (size[0] + 2.0, size[1] + 1.6)


def labels(names: Sequence[str]) -> dict[str, str]:
    """Give each name its text in a legend: behind a number where colors come again."""
    many = len(names) > len(MARKERS)
    return {name: f"{i} {name}" if many else name for i, name in enumerate(names, 1)}


def number_mark(axes, label: str, place: tuple[float, float]) -> None:
    """Write the number of a legend's text, if it has one, beside the mark at (x, y)."""
    number, _, name = label.partition(" ")
    if name:
        beside = {"xytext": (4, 4), "textcoords": "offset points", "fontsize": 7, "zorder": 5}
        axes.annotate(number, place, **beside)


def percent_axis(axis, label: str) -> None:
    """Make an axis one of accuracies from 0 to 100 %."""
    axis.set_label_text(label)
    axis.set_major_formatter(mpl.ticker.PercentFormatter(1.0, symbol=""))


def plain_log_axis(axis, label: str) -> None:
    """Give a logarithmic axis ticks at 1, 2 and 5, written as plain numbers."""
    axis.set_label_text(label)
    axis.set_major_locator(mpl.ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(mpl.ticker.NullFormatter())


def empty(reason: str) -> Figure:
    """Draw a panel that says why there is nothing to draw."""
    figure = Figure(figsize=(7, 2), layout="constrained")
    axes = figure.subplots()
    axes.set_axis_off()
    axes.text(0.5, 0.5, textwrap.fill(reason, 80), ha="center", va="center")
    return figure


def grid(count: int, columns: int, size: tuple[float, float], extra: float = 0.8, **options):
    """Give a figure and `count` axes, in so many columns; size is one panel's, in inches."""
    columns = min(columns, count)
    lines = -(-count // columns)
    inches = (size[0] * columns, size[1] * lines + extra)
    figure = Figure(figsize=inches, layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False, **options).ravel()
    for unused in axes[count:]:
        unused.set_axis_off()
    return figure, list(axes[:count])
