"""The figure, the table and the lines of a search show what its trials have reached."""

import pytest

from gauntlet.reporting import search_lines
from gauntlet.reporting.figures import search
from gauntlet.reporting.search_cells import columns, trial_cells


def trial(number, state="complete", value=0.5, **more):
    settings = {"beta": 3.0 * number, "schedule": "cosine"}
    own = {"trial": number, "state": state, "value": value, "robust": value, "clean": value}
    own |= {"n": 40, "seeds": 2, "epochs": 5, "reason": "", "start": number == 1}
    return own | {"settings": settings} | more


TRIALS = [
    trial(1, value=0.4),
    trial(2, value=0.6),
    trial(3, state="refused", value=None, reason="not finite"),
    trial(4, state="pruned", value=0.3),
    trial(5, value=0.5),
]
RECORD = {
    "search": "find",
    "defense": "trades",
    "dataset": "digits",
    "model": "article_cnn",
    "goal": {"robust": 1.0, "clean": 0.5},
    "best": 2,
    "importance": {"beta": 0.8, "schedule": 0.2},
    "trials": TRIALS,
}


def _line(axes, label):
    return next(line for line in axes.get_lines() if line.get_label() == label)


def test_every_trial_is_drawn_by_what_became_of_it():
    left, right = search.draw(RECORD).axes
    places = {label: _line(left, label).get_xydata().tolist() for label in search.LABELS.values()}
    assert places["complete"] == [[1, 0.4], [2, 0.6], [5, 0.5]]
    assert places["ended early"] == [[4, 0.3]]
    ((number, height),) = places["refused"]
    assert number == 3 and height < 0.3  # it has no value: below all others
    assert _line(left, "settings by hand").get_xydata().tolist() == [[1, 0.4]]
    assert _line(left, "best so far").get_ydata().tolist() == [0.4, 0.6, 0.6, 0.6]
    assert sorted(bar.get_width() for bar in right.patches) == [0.2, 0.8]


def test_states_can_be_told_without_color():
    left, _ = search.draw(RECORD).axes
    marks = {_line(left, label).get_marker() for label in search.LABELS.values()}
    assert len(marks) == len(search.LABELS)


def test_the_note_says_what_was_measured_on_what():
    note = " ".join(search.draw(RECORD).get_supxlabel().split())
    for words in (
        "1 x robust accuracy + 0.5 x clean accuracy",
        "n = 40 validation images, mean over 2 seeds",
        "no test image is used",
        "trial 2: beta 6, schedule cosine",
        "over the 3 complete trials",
    ):
        assert words in note


def test_without_importance_the_panel_says_so():
    _, right = search.draw(RECORD | {"importance": {}}).axes
    assert "Too few complete trials" in right.texts[0].get_text()


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_row_of_the_table_has_every_column(number):
    row = trial_cells(TRIALS[number - 1], best=2)
    assert set(row) == set(columns(["beta", "schedule"]))
    assert (row["start"], row["best"]) == (int(number == 1), int(number == 2))


def test_a_studys_table_names_what_was_found():
    found = {"search": "find", "trial": 2, "settings": {"beta": 3.25, "rollback": True}}
    found |= {"value": 0.5, "robust": 0.5, "clean": 0.9, "n": 40, "seeds": 1}
    run = {"dataset": "digits", "model": "article_cnn", "defense": "tuned"}
    rows = [run | {"attack": name, "found": found} for name in ("pgd", "worst_case")]
    (line,) = search_lines.found_settings([*rows, run | {"defense": "trades"}])
    assert line.startswith(
        "digits/article_cnn/tuned has the settings of trial 2 of the search find"
    )
    assert "(beta 3.25, rollback true)" in line and "on 40 validation images, 1 seed." in line
