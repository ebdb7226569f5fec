"""Chosen test images: what a split's setting means for its job, and how many they are."""

import pytest

from gauntlet.study.cost.dataset_sizes import dataset_sizes
from gauntlet.study.specs import split_spec
from tests.helpers.overlays import completed


def config(source: str = "mnist", **split):
    return completed({"datasets": {"d": {"source": source, "split": split}}})


def test_without_a_choice_the_specification_does_not_name_it():
    assert "test_indices" not in split_spec(config(), "d")


@pytest.mark.parametrize("asked", ["0-999", {"first": 1000}])
def test_a_range_and_a_beginning_are_one_choice(asked):
    made = config(test_indices=asked)
    assert split_spec(made, "d")["test_indices"] == {"first": 0, "last": 999}
    assert dataset_sizes(made["datasets"]["d"])[:3] == (54000, 6000, 1000)


def test_a_file_is_named_and_its_numbers_counted(tmp_path):
    (tmp_path / "numbers.txt").write_text("4 8\n15")
    made = config("sklearn_digits", test_indices=str(tmp_path / "numbers.txt"))
    assert split_spec(made, "d")["test_indices"] == {"file": str(tmp_path / "numbers.txt")}
    found = dataset_sizes(made["datasets"]["d"])
    assert (found.test, found.train + found.validation) == (3, 1794)
