"""The workflow's rules and what feeds what, in layers, without Graphviz.

The layout follows Sugiyama et al. 1981, "Methods for Visual Understanding of Hierarchical System
Structures": break cycles, layer by longest path, order by barycenters, then place.
"""

from collections.abc import Iterable, Sequence
from statistics import fmean

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from gauntlet.reporting.figures import style

Node = str | tuple  # a rule, or (source, target, layer) where an arrow passes a layer
WIDE, HIGH = 1.05, 0.44  # inches of a box
ACROSS, DOWN, PASSING = 1.2, 0.86, 0.4  # inches between centers; beside a passing arrow
SWEEPS = 24


def rulegraph(*, spec: dict) -> Figure:
    """Draw spec["edges"], a list of [source rule, target rule]."""
    return draw(spec["edges"])


def draw(edges: Sequence[Sequence[str]]) -> Figure:
    """Draw rules as boxes and [source, target] edges as arrows, from top to bottom."""
    if not edges:
        return style.empty(
            "The workflow's rules feed each other nothing: there is no graph to draw."
        )
    pairs = list(dict.fromkeys((source, target) for source, target in edges))
    back = _back_edges(pairs)
    forward = [pair for pair in pairs if pair not in back]
    layer = _layers(forward)
    shown = _reduced(forward)
    chains = {pair: _chain(*pair, layer) for pair in shown}
    places = _places(layer, chains)
    figure, axes = _canvas(places)
    for chain in chains.values():
        _arrow(axes, [places[node] for node in chain])
    for source, target in back:
        _return(axes, places[source], places[target])
    results = set(layer) - {source for source, _ in pairs}
    for rule in layer:
        _box(axes, rule, *places[rule], rule in results)
    style.note(figure, _note(back))
    return figure


def _note(back: Iterable) -> str:
    loops = " Dashed: for some models a rule feeds itself or an earlier one." if back else ""
    return (
        "Rules of the workflow; an arrow leads from the rule that makes a file to one that reads "
        "it. Arrows that follow from others are left out. Shaded: rules whose files no other "
        f"rule reads.{loops}"
    )


def _followers(edges: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for source, target in edges:
        found.setdefault(source, []).append(target)
        found.setdefault(target, [])
    return found


def _back_edges(edges: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Give the edges that close a cycle, seen from the rules that nothing feeds."""
    followers, back, open_, done = _followers(edges), [], set(), set()

    def visit(rule: str) -> None:
        open_.add(rule)
        for target in followers[rule]:
            if target in open_:
                back.append((rule, target))
            elif target not in done:
                visit(target)
        open_.remove(rule)
        done.add(rule)

    fed = {target for _, target in edges}
    for rule in sorted(followers, key=lambda rule: rule in fed):
        if rule not in done:
            visit(rule)
    return back


def _layers(edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Give each rule the length of the longest way to it."""
    followers = _followers(edges)
    layer = dict.fromkeys(followers, 0)
    for _ in followers:
        for source, target in edges:
            layer[target] = max(layer[target], layer[source] + 1)
    return layer


def _reduced(edges: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Leave out edges that a longer way replaces."""
    followers = _followers(edges)

    def reaches(start: str, goal: str) -> bool:
        return start == goal or any(reaches(rule, goal) for rule in followers[start])

    return [
        (source, target)
        for source, target in edges
        if not any(reaches(other, target) for other in followers[source] if other != target)
    ]


def _chain(source: str, target: str, layer: dict[str, int]) -> list[Node]:
    between = range(layer[source] + 1, layer[target])
    return [source, *((source, target, depth) for depth in between), target]


def _places(layer: dict[str, int], chains: dict) -> dict[Node, tuple[float, float]]:
    """Give every node its center in inches; few crossings, short arrows."""
    depth = {node: layer.get(node, node[-1]) for chain in chains.values() for node in chain} | layer
    rows: dict[int, list[Node]] = {}
    for node in depth:
        rows.setdefault(depth[node], []).append(node)
    near: dict[Node, list[Node]] = {node: [] for node in depth}
    for chain in chains.values():
        for one, other in zip(chain, chain[1:], strict=False):
            near[one].append(other)
            near[other].append(one)
    x = {node: ACROSS * i for row in rows.values() for i, node in enumerate(row)}
    for sweep in range(SWEEPS):
        up = 1 if sweep % 2 else -1
        for level in sorted(rows, reverse=up > 0):
            wished = {}
            for node in rows[level]:
                sides = [x[n] for n in near[node] if depth[n] == level + up or sweep > SWEEPS // 2]
                wished[node] = fmean(sides) if sides else x[node]
            rows[level].sort(key=wished.get)
            x |= _apart(rows[level], wished)
    return {node: (x[node], -DOWN * depth[node]) for node in depth}


def _apart(row: Sequence[Node], wished: dict[Node, float]) -> dict[Node, float]:
    """Move nodes apart, as little as their order allows."""
    found: dict[Node, float] = {}
    last, edge = None, 0.0
    for node in row:
        if last is not None:
            rules = isinstance(last, str) + isinstance(node, str)
            edge += (PASSING, (ACROSS + PASSING) / 2, ACROSS)[rules]
        found[node] = edge = wished[node] if last is None else max(wished[node], edge)
        last = node
    shift = fmean(wished.values()) - fmean(found.values())
    return {node: place + shift for node, place in found.items()}


def _canvas(places: dict[Node, tuple[float, float]]) -> tuple[Figure, object]:
    """Give a figure whose axes count in inches."""
    across, down = zip(*places.values(), strict=True)
    right, low, high = max(across) + 0.8, min(down) - 0.9, HIGH
    left = min(min(across) - 0.8, right - 6)
    figure = Figure(figsize=(right - left, high - low))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(left, right), ylim=(low, high))
    axes.set_axis_off()
    return figure, axes


def _arrow(axes, points: Sequence[tuple[float, float]]) -> None:
    """Draw a smooth arrow from the first box's lower side to the last one's upper side."""
    (x, y), (end, last) = points[0], points[-1]
    way = [(x, y - HIGH / 2), *points[1:-1], (end, last + HIGH / 2)]
    codes, path = [Path.MOVETO], [way[0]]
    for (x0, y0), (x1, y1) in zip(way, way[1:], strict=False):
        middle = (y0 + y1) / 2
        path += [(x0, middle), (x1, middle), (x1, y1)]
        codes += [Path.CURVE4] * 3
    _draw_arrow(axes, path=Path(path, codes))


def _return(axes, source: tuple[float, float], target: tuple[float, float]) -> None:
    """Draw a dashed arrow back up on the side of the source, or around one box."""
    (x0, y0), (x1, y1) = source, target
    lift, side = (HIGH / 4, 1) if source == target else (0, 1 if x0 > x1 else -1)
    start, end = (x0 + side * WIDE / 2, y0 - lift), (x1 + side * WIDE / 2, y1 + lift)
    out = side * (max(side * start[0], side * end[0]) + 0.35)
    path = Path([start, (out, start[1]), (out, end[1]), end], [Path.MOVETO, *[Path.CURVE4] * 3])
    _draw_arrow(axes, path=path, linestyle=(0, (3, 2)))


def _draw_arrow(axes, **options) -> None:
    look = {"arrowstyle": "-|>", "mutation_scale": 9, "linewidth": 1.0, "color": "#7A7A7A"}
    axes.add_patch(FancyArrowPatch(shrinkA=0, shrinkB=0, zorder=1, **look, **options))


def _box(axes, rule: str, x: float, y: float, result: bool) -> None:
    """Draw a rule's box: its verb, and below it the noun."""
    corner, size = (x - WIDE / 2 + 0.06, y - HIGH / 2 + 0.06), (WIDE - 0.12, HIGH - 0.12)
    fill = style.looks("x")["x"]["color"] if result else style.paper()
    look = {"boxstyle": "round,pad=0.06", "linewidth": 1.0, "edgecolor": style.ink()}
    axes.add_patch(FancyBboxPatch(corner, *size, facecolor=style.paper(), zorder=2, **look))
    if result:
        axes.add_patch(FancyBboxPatch(corner, *size, facecolor=fill, alpha=0.2, zorder=2, **look))
    axes.text(x, y, rule.replace("_", "\n", 1), ha="center", va="center", fontsize=8, zorder=3)
