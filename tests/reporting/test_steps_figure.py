"""The figure of steps before models, and the sentence below it."""

import matplotlib as mpl

from gauntlet.reporting.figures import steps, style

NAMES = {"dataset": "digits", "model": "cnn", "defense": "baseline", "norm": "linf", "eps": 0.15}


def row(step, naive, adaptive, seed=0, **other):
    values = {"clean_accuracy": 0.9, "naive_accuracy": naive, "adaptive_accuracy": adaptive}
    own = {"preprocess": step, "seed": seed, "n": 200, "without_step": 0.2}
    return NAMES | values | own | other


def texts(figure):
    found = [text.get_text() for text in figure.findobj(mpl.text.Text)]
    return " ".join(" ".join(found).split())


def test_the_step_that_falls_furthest_is_named_and_what_helps_too():
    rows = [row("jpeg", 0.5, 0.1), row("bits", 0.5, 0.48)]
    told = steps.sentence(rows)
    assert "jpeg before baseline drops from 50.0 % to 10.0 %" in told
    assert told.endswith("More than 5 points above the model alone: bits before baseline.")
    assert steps.sentence(rows[:1]).endswith("more than 5 points above what it withstands alone.")
    assert steps.sentence([row("jpeg", 0.5, 0.48)]).startswith("No step loses much")


def test_seeds_are_joined_and_each_panel_says_what_the_model_withstands_alone():
    rows = [row("jpeg", 0.5, 0.1), row("jpeg", 0.7, 0.3, seed=1, without_step=0.4)]
    rows.append(row("jpeg", 0.9, 0.8, defense="pgd_at"))
    shown = texts(steps.draw(rows))
    assert "digits · cnn · baseline, linf 0.15; no step: 30.0 %" in shown
    assert " 60 " in shown and " 20 " in shown and "digits · cnn · pgd_at" in shown
    assert "seeds 0, 1" in shown and "puts no step" in texts(steps.draw([]))


def test_the_figure_can_be_saved(tmp_path):
    look = {"dpi": 50, "style": "default"}
    png, svg = tmp_path / "a.png", tmp_path / "a.svg"
    style.render(lambda: steps.draw([row("jpeg", 0.5, 0.1)]), png, svg, look)
    assert png.stat().st_size > 1000
