"""Clean images, perturbations and adversarial examples, the same images for several defenses."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from gauntlet.core.records import read_json, read_rows, run_of
from gauntlet.evaluation.failures import failed
from gauntlet.reporting.figures import style
from gauntlet.reporting.formatting import threat_label

MOST = 6  # defenses that can be seen side by side
GAP, APART, BELOW = 0.1, 0.3, 0.4  # between tiles, between defenses, for text; a tile is 1
HEAD, FOOT = 0.8, 0.75  # for names, in tiles; for the note, in inches
INCHES = (0.8, 1.15)  # least and most of a tile
FELL, HELD = "#D55E00", "#0072B2"


@dataclass(frozen=True)
class Shown:
    """One model's examples: names, the ledger's rows (as texts) and the aligned images."""

    dataset: str
    model: str
    defense: str
    seed: str
    attack: str
    rows: list[dict]
    examples: np.ndarray  # [R, C, H, W] in [0, 1]


@dataclass(frozen=True)
class Source:
    """A data set: images as stored [N, C, H, W], their largest value, the classes' names."""

    images: np.ndarray
    max_value: float
    classes: list[str]

    def image(self, index: int) -> np.ndarray:
        """Give an image [C, H, W] in [0, 1]."""
        return np.asarray(self.images[index], dtype=np.float32) / self.max_value

    def word(self, label: int) -> str:
        """Give a class's name, cut to what fits below a tile."""
        return style.class_name(self.classes, label)


def examples(
    ledgers: list[str], examples: list[str], images: list[str], data: list[str], *, spec: dict
) -> Figure:
    """Draw the same test images for each model; `examples` lie beside `ledgers`, in their order.

    `images` and `data` are images.npy and data.json of spec["datasets"], in that order. Of a
    defense, the first ledger is shown; an attack that failed has none.
    """
    sources = {}
    for name, array, text in zip(spec["datasets"], images, data, strict=True):
        about = read_json(text)
        sources[name] = Source(np.load(array, mmap_mode="r"), about["max_value"], about["classes"])
    shown = []
    for ledger, saved in zip(ledgers, examples, strict=True):
        if failed(ledger):
            continue
        attack = Path(ledger).parts[-3]
        made = np.load(saved, mmap_mode="r")
        shown.append(Shown(*run_of(ledger), attack, read_rows(ledger), made))
    figures = spec["figures"]
    return draw(shown, sources, figures["examples"])


def draw(shown: Sequence[Shown], sources: dict[str, Source], count: int) -> Figure:
    """Draw `count` images per data set and model, a group of columns per defense.

    A ledger with several eps is shown at the middle one.
    """
    panels: dict[tuple, list[Shown]] = {}
    for one in shown:
        panel = panels.setdefault((one.dataset, one.model), [])
        if len(panel) < MOST and one.defense not in [other.defense for other in panel]:
            panel.append(one)
    chosen = {name: _choose(panel, count) for name, panel in panels.items()}
    if not any(chosen.values()):
        return style.empty("No example of this study has been made, so there is none to show.")
    chosen = {name: images for name, images in chosen.items() if images}
    figure, axes = _canvas([(len(panels[name]), len(images)) for name, images in chosen.items()])
    for (name, images), place in zip(chosen.items(), axes, strict=True):
        scale = _panel(place, panels[name], images, sources[name[0]])
        title = _title(panels[name], images, scale)
        place.text(0, 0.5, title, fontsize=8.5, weight="bold")
    style.note(figure, _note(next(iter(sources.values()))))
    return figure


def _canvas(sizes: Sequence[tuple[int, int]]) -> tuple[Figure, list]:
    """Give a figure, and one pair of axes per (defenses, images), in which a tile is the unit."""
    tiles = max(_left(defenses) for defenses, _ in sizes)
    inches = float(np.clip(10 / tiles, *INCHES))
    heights = [HEAD + images * (1 + BELOW) for _, images in sizes]
    width, height = max(6.5, inches * tiles), inches * sum(heights) + FOOT
    figure, top = Figure(figsize=(width, height)), 1.0
    axes = []
    for high in heights:
        top -= high * inches / height
        place = figure.add_axes((0.1 / width, top, 1 - 0.1 / width, high * inches / height))
        place.set(xlim=(0, width / inches), ylim=(HEAD - high, HEAD), autoscale_on=False)
        place.set_axis_off()
        axes.append(place)
    return figure, axes


def _choose(panel: Sequence[Shown], count: int) -> dict[int, list[int]]:
    """Choose images and give their row in each model's ledger.

    The first images that all models classify rightly when clean, one class after the other.
    """
    places = [_rows_by_image(one) for one in panel]
    first = places[0] if places else {}
    common = sorted(index for index in first if all(index in place for place in places))
    turns: dict[str, int] = {}
    order = []
    for index in common:
        rows = [one.rows[place[index]] for one, place in zip(panel, places, strict=True)]
        if all(row["clean_prediction"] == row["label"] for row in rows):
            label = rows[0]["label"]
            turns[label] = turns.get(label, 0) + 1
            order.append((turns[label], int(label), index))
    return {index: [place[index] for place in places] for *_, index in sorted(order)[:count]}


def _rows_by_image(one: Shown) -> dict[int, int]:
    radii = sorted({float(row["eps"]) for row in one.rows})
    middle = radii[len(radii) // 2] if radii else None
    found = [(row["index"], i) for i, row in enumerate(one.rows) if float(row["eps"]) == middle]
    return {int(index): i for index, i in found}


def _left(group: int) -> float:
    """Give the left edge of a defense's group of two tiles, in tiles."""
    return 1 + APART + group * (2 + GAP + APART)


def _panel(axes, panel: Sequence[Shown], chosen: dict[int, list[int]], source: Source) -> float:
    """Draw all tiles in one pair of axes, whose unit is a tile; give the perturbations' scale."""
    clean = {index: source.image(index) for index in chosen}
    moved = {
        (line, group): np.asarray(one.examples[chosen[index][group]], dtype=np.float32)
        for line, index in enumerate(chosen)
        for group, one in enumerate(panel)
    }
    images = list(clean.values())
    scale = max(float(np.abs(made - images[line]).max()) for (line, _), made in moved.items())
    for line, (index, rows) in enumerate(chosen.items()):
        low = -1 - line * (1 + BELOW)
        _tile(axes, 0, low, clean[index])
        _below(axes, 0, low, source.word(int(panel[0].rows[rows[0]]["label"])), weight="bold")
        for group, one in enumerate(panel):
            made, row = moved[line, group], one.rows[rows[group]]
            _pair(axes, _left(group), low, made, clean[index], scale or 1.0)
            _words(axes, _left(group), low, row, source)
    for group, one in enumerate(panel):
        middle = _left(group) + 1 + GAP / 2
        axes.text(middle, 0.1, one.defense, ha="center", fontsize=9, weight="bold")
    axes.text(0.5, 0.1, "clean", ha="center", fontsize=9, weight="bold")
    return scale


def _tile(axes, left: float, low: float, image: np.ndarray, **look) -> None:
    """Draw an image [C, H, W] in [0, 1], or a perturbation, on a tile."""
    pixels = image[0] if len(image) == 1 else image[:3].transpose(1, 2, 0)
    extent = (left, left + 1, low, low + 1)
    options = {"cmap": "gray", "vmin": 0, "vmax": 1, "interpolation": "nearest"}
    options |= {"aspect": "auto"} | look
    axes.imshow(pixels, extent=extent, **options)


def _pair(axes, left: float, low: float, made: np.ndarray, clean: np.ndarray, scale: float) -> None:
    change = (made - clean) / scale
    if len(change) > 1:
        change = np.clip(0.5 + change / 2, 0, 1)
    _tile(axes, left, low, change, cmap="PuOr", vmin=-1, vmax=1)
    _tile(axes, left + 1 + GAP, low, made)


def _words(axes, left: float, low: float, row: dict, source: Source) -> None:
    """Write confidences below a pair of tiles, and frame the adversarial one."""
    success = row["success"] == "1"
    look = (
        {"color": FELL, "linewidth": 2.2} if success else {"color": HELD, "linestyle": (0, (3, 2))}
    )
    axes.add_patch(Rectangle((left + 1 + GAP, low), 1, 1, fill=False, **look))
    _below(axes, left, low, f"clean {_sure(row['clean_confidence'])}")
    word = source.word(int(row["adversarial_prediction"]))
    break_ = "\n" if len(word) > 3 else ", "
    text = f"{'→' if success else '='} {word}{break_}{_sure(row['adversarial_confidence'])}"
    _below(axes, left + 1 + GAP, low, text)


def _below(axes, left: float, low: float, text: str, **look) -> None:
    axes.text(left + 0.5, low - 0.05, text, ha="center", va="top", fontsize=6.5, **look)


def _sure(confidence: str) -> str:
    return f"{100 * float(confidence):.0f}%"


def _title(panel: Sequence[Shown], chosen: dict[int, list[int]], scale: float) -> str:
    first = panel[0]
    row = first.rows[next(iter(chosen.values()))[0]]
    threat = threat_label(row["norm"], row["eps"])
    names = f"{first.dataset} · {first.model}, seed {first.seed}"
    return f"{names}: {first.attack}, {threat}; perturbations shown within ± {scale:.3g}"


def _note(source: Source) -> str:
    gray = source.images.shape[1] == 1
    colors = "purple: brighter, orange: darker, white" if gray else "bright: more, dark: less, gray"
    return (
        "The first test images that all models shown classify rightly, one class after the other "
        "(a choice that does not look at the attack). Each pair: perturbation "
        f"({colors}: unchanged) with the model's confidence in the right class of the clean image; "
        "adversarial image with the model's answer and confidence. Solid thick frame and →: it "
        "predicted another class; dashed frame and =: it did not. Every example was made against "
        "the model that it is shown for."
    )
