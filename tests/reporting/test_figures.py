"""Figures: they exist for every study, are the same twice, and show what they say."""

import io
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from gauntlet.core.records import read_rows
from gauntlet.reporting.figures import (
    classes,
    compute,
    curves,
    examples,
    robustness,
    rulegraph,
    style,
    tradeoff,
)
from gauntlet.reporting.figures.training import draw as draw_training
from gauntlet.reporting.figures.values import main_threat, read_records, value
from plot_figure import plot_figure
from tests.helpers import builders

LOOK = {"dpi": 50, "style": "default"}
EDGES = [
    *(["get", "split"], ["get", "train"], ["split", "train"], ["train", "train"]),
    *(["train", "craft"], ["craft", "train"], ["craft", "score"], ["train", "plot"]),
]
STYLES = ("bmh", "classic", "dark_background", "fivethirtyeight", "ggplot", "grayscale")
STYLES += ("seaborn-v0_8-whitegrid", "tableau-colorblind10")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    made = builders.Study(tmp_path_factory.mktemp("study") / "results", n=60)
    made.table = str(made.robustness())
    made.data = [str(path) for path in made.images()]
    return made


def inputs(study, figure):
    """Give the named inputs of a figure."""
    folders = [study.folder(run) for run in study.runs()]
    images, data = study.data
    records = [str(p) for p in sorted((study.root / "evaluation").rglob("*.json"))]
    shown = [study.examples(run) for run in study.runs() if run[3] == 0]
    return {
        "training": {
            "histories": [str(folder / "history.csv") for folder in folders],
            "trains": [str(folder / "train.json") for folder in folders],
            "splits": [str(Path(data).with_name("split.json"))],
        },
        "classes": {"robustness": study.table, "records": records, "data": [data]},
        "examples": {
            "ledgers": [str(ledger) for ledger, _ in shown],
            "examples": [str(made) for _, made in shown],
            "images": [images],
            "data": [data],
        },
        "rulegraph": {},
        "curves": {"robustness": study.table, "records": records},
        "passes": {"records": records},
        "compute": {"robustness": study.table, "timings": str(study.timings())},
        "radii": {"records": records},
    }.get(figure, {"robustness": study.table})


@pytest.mark.parametrize(
    "figure",
    [
        *("robustness", "tradeoff", "curves", "training", "passes", "transfer"),
        *("examples", "classes", "rulegraph", "bounds", "radii", "compute"),
    ],
)
def test_a_figure_has_the_same_bytes_twice(study, tmp_path, figure):
    before, made = dict(mpl.rcParams), []
    for turn in "ab":
        paths = {kind: tmp_path / f"{turn}.{kind}" for kind in ("png", "svg")}
        outputs = {kind: str(path) for kind, path in paths.items()}
        spec = study.spec | {"edges": EDGES, "figure": figure}
        plot_figure(**inputs(study, figure), **outputs, spec=spec)
        made.append([path.read_bytes() for path in paths.values()])
    assert made[0] == made[1]
    assert made[0][0].startswith(b"\x89PNG") and b"<svg" in made[0][1]
    assert b"<dc:date>" not in made[0][1]
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("name", STYLES)
def test_every_style_of_the_configuration_works(study, tmp_path, name):
    rows = read_rows(study.table)
    drawn = tmp_path / "a.png"
    look = LOOK | {"style": name}
    style.render(lambda: tradeoff.draw(rows), drawn, tmp_path / "a.svg", look)
    assert drawn.stat().st_size > 1000


def texts(figure):
    """Give all that is written in a figure."""
    found = [text.get_text() for text in figure.findobj(mpl.text.Text)]
    return " ".join(" ".join(found).split())


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: robustness.draw([]), "No model"),
        (lambda: tradeoff.draw([]), "nothing to set against"),
        (lambda: compute.draw([], [], {}), "was trained and attacked"),
        (lambda: curves.draw([]), "Give one a list"),
        (lambda: classes.draw([], {}, None), "no class to compare"),
        (lambda: draw_training([]), "no model of this study has a training history"),
        (lambda: examples.draw([], {}, 6), "none to show"),
        (lambda: rulegraph.draw([]), "no graph"),
    ],
)
def test_a_study_without_material_gets_an_explanation(draw, message):
    assert message.lower() in texts(draw()).lower()


def test_a_study_without_curves_or_with_only_noise(study):
    rows = read_rows(study.table)
    noise = [row for row in rows if row["attack"] == "noise"]
    assert "Give one a list" in texts(curves.draw(noise))
    assert "nothing to set against" in texts(tradeoff.draw(noise))
    assert "noise: sigma 0.1" in texts(robustness.draw(noise))


@pytest.mark.parametrize("kind", [robustness, tradeoff, curves])
def test_figures_state_images_seeds_and_interval(study, kind):
    message = texts(kind.draw(read_rows(study.table)))
    for part in ("n = 60 test images", "seeds 0, 1", "Wilson 95 % interval", "upper bound", "(%)"):
        assert part in message


def test_bars_have_the_height_of_the_mean(study):
    rows = read_rows(study.table)
    mine = [
        r for r in rows if (r["defense"], r["attack"], r["source"]) == ("pgd_at", "pgd40", "self")
    ]
    figure = robustness.draw(rows)
    heights = [patch.get_height() for patch in figure.axes[0].patches]
    assert any(np.isclose(height, value(mine).mean) for height in heights)
    assert len(heights) == 2 * 5 + 1  # clean, three attacks, worst case; one model has a transfer


def test_marks_are_distinct_without_color():
    looks = style.looks(range(10)).values()
    assert len({look["marker"] for look in looks}) == 10
    assert len({str(look["linestyle"]) for look in looks}) == 10
    assert len(set(style.HATCHES)) == len(style.HATCHES) >= 8
    assert len(set(style.COLORS)) == 10


def test_main_threat_is_where_most_attacks_meet(study):
    assert main_threat(read_rows(study.table)) == ("linf", "0.15")
    assert main_threat([]) is None


def test_examples_choose_images_that_all_models_know(study):
    def shown(defense, wrong=()):
        rows = [builders.ledger_row(i, i % 3, eps=eps) for eps in (0.1, 0.2, 0.3) for i in range(9)]
        for row in rows:
            row["clean_prediction"] = row["label"] + (row["index"] in wrong)
        text = [{key: str(cell) for key, cell in row.items()} for row in rows]
        return examples.Shown("d", "m", defense, "0", "pgd", text, np.zeros((27, 1, 2, 2)))

    chosen = examples._choose([shown("a", {0}), shown("b", {4})], 5)
    assert list(chosen) == [3, 1, 2, 6, 7]  # labels 0, 1, 2, then each one's next
    assert chosen[3] == [12, 12]  # rows at the middle eps
    assert examples._choose([shown("a", range(9))], 5) == {}


def test_class_table_is_weighted_by_images():
    rows = [{"label": 0, "n": 30, "robust_accuracy": 1.0}, {"label": 2, "n": 10}]
    rows[1]["robust_accuracy"] = 0.0
    values = classes._table({"at": [{"classes": rows}]}, [0, 2])
    assert values.tolist() == [[1.0, 0.0, 0.75]]


def test_many_classes_are_cut_to_the_hardest():
    counts = dict.fromkeys(range(50), 5)
    rows = [{"label": i, "n": 5, "robust_accuracy": i / 50} for i in counts]
    assert classes._hardest({"at": [{"classes": rows}]}, counts) == list(range(classes.MOST))


def test_rule_graph_breaks_cycles_and_leaves_out_what_follows():
    pairs = [tuple(edge) for edge in EDGES]
    back = rulegraph._back_edges(pairs)
    assert back == [("train", "train"), ("craft", "train")]
    forward = [pair for pair in pairs if pair not in back]
    layers = rulegraph._layers(forward)
    assert all(layers[source] < layers[target] for source, target in forward)
    assert ("get", "train") not in rulegraph._reduced(forward)
    message = texts(rulegraph.draw(EDGES))
    assert all(rule in message for rule in layers) and "Dashed" in message


def test_boxes_of_the_rule_graph_do_not_overlap():
    edges = [["collect", f"plot_{i}"] for i in range(8)] + [["a", "collect"], ["a", "plot_9"]]
    edges += [[f"plot_{i}", "all"] for i in range(8)] + [["plot_9", "all"], ["a", "all"]]
    figure = rulegraph.draw(edges)
    places = [t.get_position() for t in figure.axes[0].texts]
    for i, (x, y) in enumerate(places):
        for other_x, other_y in places[:i]:
            assert y != other_y or abs(x - other_x) >= rulegraph.WIDE


@pytest.mark.parametrize("name", ["$", "a$b$", "$x_{", "{seed}", "<b>", r"\\frac", "a_b^c%", "%s"])
def test_a_class_may_be_called_anything(study, name):
    figure = style.grid(1, 1, (2, 2))[0]
    text = figure.text(0.5, 0.5, style.class_name([name], 0))
    figure.savefig(io.BytesIO(), format="png")
    drawn, _ = text._preprocess_math(text.get_text())
    assert drawn == name
    assert style.class_name([], 3) == "3" and len(style.class_name(["x" * 40], 0)) == 11
    records = read_records(study.records)
    threat = main_threat(read_rows(study.table))
    names = {study.spec["datasets"][0]: [name] * 10}
    classes.draw(records, names, threat).savefig(io.BytesIO(), format="svg")
