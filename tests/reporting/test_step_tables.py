"""The table of steps before models, for readers and in the terminal."""

import json

from gauntlet.reporting import step_tables, terminal


def row(step: str, adaptive: float, seed: int = 0, **more) -> dict:
    known = {"dataset": "digits", "model": "cnn", "defense": "pgd_at", "seed": seed, "n": 100}
    known |= {"preprocess": step, "norm": "linf", "eps": 0.15, "clean_accuracy": 0.9}
    known |= {"naive_accuracy": 0.8, "adaptive_accuracy": adaptive, "rejected_clean": 0.0}
    return known | {"clean_without_step": 0.95, "without_step": 0.3, "warning": ""} | more


ROWS = [
    row("jpeg", 0.25),
    row("jpeg", 0.35, seed=1),
    row("detector", 0.5, rejected_clean=0.05, warning="it is too weak"),
    row("detector", 0.5, seed=1, rejected_clean=0.05),
]


def test_a_table_has_a_line_for_the_model_alone_and_for_each_step():
    (table,) = step_tables.step_tables(ROWS)
    assert table.title == "Steps before models, linf 0.15, n = 100, 2 seeds"
    assert table.head == ("defense", "step", "clean", "rejected", "naive", "adaptive", "95 %")
    none, jpeg, detector = table.rows
    assert none[1:6] == ("none", "95.0 ± 0.0", "–", "–", "30.0 ± 0.0")
    assert jpeg[1:6] == ("jpeg", "90.0 ± 0.0", "–", "80.0 ± 0.0", "30.0 ± 7.1")
    assert jpeg[6] == "[21.9, 39.6]"  # Wilson, 30 of 100
    assert detector[1:4] == ("detector (!)", "90.0 ± 0.0", "5.0")


def test_each_threat_has_a_table_and_models_are_named_where_there_are_several():
    rows = [row("jpeg", 0.2), row("jpeg", 0.1, eps=0.3), row("jpeg", 0.2, model="mlp")]
    tables = step_tables.step_tables(rows)
    assert ["linf 0.15" in tables[0].title, "linf 0.3" in tables[1].title] == [True, True]
    assert tables[0].head[:2] == ("model", "defense") and tables[1].head[0] == "defense"


def test_warnings_name_the_step():
    (line,) = step_tables.warnings(ROWS)
    assert line == "(!) digits/cnn/pgd_at/detector, seed 0, linf 0.15: it is too weak"


def test_the_terminal_shows_the_steps_of_a_study_that_has_some(tmp_path):
    assert terminal.steps(tmp_path) == []
    (tmp_path / "preprocess.json").write_text(json.dumps({"study": "x", "rows": ROWS}))
    shown = "\n".join(terminal.steps(tmp_path))
    assert "Steps before models" in shown and "detector (!)" in shown and "too weak" in shown
