"""Numbers of a step before a model, on ledgers that are counted by hand."""

import pytest

from gauntlet.core.errors import GauntletError
from gauntlet.core.records import write_rows
from gauntlet.evaluation.step_ledger import measure_step, read_step_ledger, require_order
from gauntlet.stages.step_judge import COLUMNS

RUN = {"dataset": "digits", "model": "cnn", "defense": "baseline", "seed": 0, "preprocess": "jpeg"}


def row(index: int, right: float, **more) -> dict:
    """A row of an image that is right when clean, at linf 0.1."""
    known = {"index": index, "label": 1, "attack": "pgd", "made": "example", "norm": "linf"}
    known |= {"eps": 0.1, "clean": 1.0, "right": right, "rejected_clean": 0.0, "rejected": 0.0}
    return known | {"clean_without_step": 1, "right_without_step": 0, "linf": 0.1, "l2": 0.2} | more


def ledger(folder, name: str, *rows: dict):
    path = folder / f"{name}.csv"
    write_rows(path, COLUMNS, rows)
    return read_step_ledger(str(path))


def test_the_adaptive_number_is_the_worst_case_per_image(tmp_path):
    naive = ledger(tmp_path, "naive", *(row(i, right) for i, right in enumerate((1, 0, 1, 1))))
    through = ledger(tmp_path, "adaptive", *(row(i, right) for i, right in enumerate((0, 1, 1, 1))))
    found = measure_step(naive, through, "linf", 0.1)
    assert found["naive_accuracy"] == 0.75 and found["adaptive_alone"] == 0.75
    assert found["adaptive_accuracy"] == 0.5
    assert found["without_step"] == 0 and found["clean_without_step"] == 1
    assert found["n"] == 4 and found["warning"] == ""
    assert found["adaptive_low"] < 0.5 < found["adaptive_high"]


def test_several_naive_sets_count_by_their_worst(tmp_path):
    sets = [row(0, 1), row(1, 0), row(0, 0, made="draw"), row(1, 1, made="draw")]
    naive = ledger(tmp_path, "naive", *sets)
    assert len(naive) == 2
    found = measure_step(naive, ledger(tmp_path, "a", row(0, 1), row(1, 1)), "linf", 0.1)
    assert found["naive_accuracy"] == found["adaptive_accuracy"] == 0


def test_smaller_balls_count_and_larger_ones_or_other_norms_do_not(tmp_path):
    naive = [row(0, 1), row(0, 0, eps=0.05), row(0, 0, eps=0.2), row(0, 0, norm="l2")]
    through = ledger(tmp_path, "a", row(0, 1), row(0, 1, eps=0.05))
    known = ledger(tmp_path, "naive", *naive)
    assert measure_step(known, through, "linf", 0.1)["naive_accuracy"] == 0
    known = ledger(tmp_path, "naive", *(naive[:1] + naive[2:]))
    assert measure_step(known, through, "linf", 0.1)["naive_accuracy"] == 1


def test_a_rejected_example_is_defended_and_a_rejected_image_is_an_error(tmp_path):
    rows = [
        row(0, 0.0, rejected=1.0),  # rejected example: defended
        row(1, 0.0, clean=0.0, rejected_clean=1.0, rejected=1.0),  # rejected clean image: an error
        row(2, 0.0),  # accepted and wrong
        row(3, 1.0),
    ]
    found = measure_step(ledger(tmp_path, "n", *rows), ledger(tmp_path, "a", *rows), "linf", 0.1)
    assert found["clean_accuracy"] == 0.75 and found["rejected_clean"] == 0.25
    assert found["naive_accuracy"] == found["adaptive_accuracy"] == 0.5


def test_of_a_random_step_the_lowest_mean_counts_not_the_worst_draw(tmp_path):
    """Image 0: means 0.6 and 0.4; image 1 is right in 0.9 of the draws when clean."""
    naive = [row(0, 0.6), row(1, 1.0, clean=0.9)]
    through = [row(0, 0.4), row(1, 0.95, clean=0.9)]
    made = ledger(tmp_path, "n", *naive), ledger(tmp_path, "a", *through)
    found = measure_step(*made, "linf", 0.1)
    assert found["naive_accuracy"] == pytest.approx((0.6 + 0.9) / 2)
    assert found["adaptive_accuracy"] == pytest.approx((0.4 + 0.9) / 2)


def test_an_attack_that_is_weaker_than_examples_that_know_nothing_is_flagged(tmp_path):
    naive, through = [row(0, 0), row(1, 0), row(2, 1)], [row(0, 1), row(1, 0), row(2, 1)]
    made = ledger(tmp_path, "n", *naive), ledger(tmp_path, "a", *through)
    found = measure_step(*made, "linf", 0.1)
    assert "leaves 66.7 %, more than examples that do not know it (33.3 %)" in found["warning"]
    assert found["adaptive_accuracy"] == found["naive_accuracy"]
    require_order(RUN | found)


def test_an_adaptive_number_above_the_naive_one_is_refused():
    numbers = {"norm": "linf", "eps": 0.1, "adaptive_accuracy": 0.51, "naive_accuracy": 0.5}
    with pytest.raises(
        GauntletError, match=r"'jpeg' before digits/cnn/baseline/0 .* 0\.5100 .*at most"
    ):
        require_order(RUN | numbers)
    require_order(RUN | numbers | {"adaptive_accuracy": 0.5})


OTHER = {
    "images": ([row(0, 1), row(2, 1)], "differ in 'index'"),
    "labels": ([row(0, 1), row(1, 1, label=2)], "differ in 'label'"),
    "clean answers": ([row(0, 1), row(1, 1, clean=0.0)], "differ in 'clean'"),
    "another threat": ([row(0, 1, eps=0.2), row(1, 1, eps=0.2)], "no examples for linf 0.1"),
}


@pytest.mark.parametrize("case", OTHER)
def test_ledgers_that_do_not_belong_together_are_refused(case, tmp_path):
    rows, message = OTHER[case]
    naive = ledger(tmp_path, "n", row(0, 1), row(1, 1))
    with pytest.raises(GauntletError, match=message):
        measure_step(naive, ledger(tmp_path, "a", *rows), "linf", 0.1)


def test_a_share_beyond_one_is_refused(tmp_path):
    with pytest.raises(GauntletError, match="a right that is no share"):
        ledger(tmp_path, "n", row(0, 1.5))
