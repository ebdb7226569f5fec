"""Splits: exact, stratified, nested, disjoint, and honest about duplicates."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gauntlet.core.errors import GauntletError
from gauntlet.data._dataset import Dataset, write_dataset
from gauntlet.data._split import PARTS, read_indices, split_indices, split_report
from split_data import split_data

SHARES = st.floats(0.1, 0.5)
COUNTS = st.lists(st.integers(20, 60), min_size=2, max_size=5)


def labels_of(counts: list[int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))


def split(labels: np.ndarray, canonical=None, **options) -> dict[str, np.ndarray]:
    classes = [f"class {number}" for number in range(labels.max() + 1)]
    return split_indices(labels, classes, canonical, **options)


def as_lists(parts: dict[str, np.ndarray]) -> dict[str, list[int]]:
    return {part: chosen.tolist() for part, chosen in parts.items()}


@settings(deadline=None, max_examples=60)
@given(COUNTS, SHARES, SHARES, st.integers(0, 2**32 - 1))
def test_shares_are_exact_and_stratified(counts, test, validation, seed):
    labels = labels_of(counts)
    parts = split(labels, test=test, validation=validation, seed=seed)
    assert np.array_equal(np.sort(np.concatenate([*parts.values()])), np.arange(len(labels)))
    assert all((np.diff(chosen) > 0).all() for chosen in parts.values())
    assert len(parts["test"]) == round(test * len(labels))
    rest = len(labels) - len(parts["test"])
    assert len(parts["validation"]) == round(validation * rest)
    found = np.bincount(labels[parts["test"]])
    assert abs(found - len(parts["test"]) * np.array(counts) / len(labels)).max() < 1.5


@settings(deadline=None, max_examples=60)
@given(COUNTS, st.integers(20, 80), st.integers(0, 40), st.sampled_from(PARTS))
def test_a_smaller_limit_gives_a_stratified_subset_of_a_larger_one(counts, limit, more, part):
    labels = labels_of(counts)
    small, large, whole = (
        split(labels, test=0.4, validation=0.4, **{f"{part}_limit": number})
        for number in (limit, limit + more, None)
    )
    assert set(small[part]) <= set(large[part]) <= set(whole[part])
    assert len(small[part]) == min(limit, len(whole[part]))
    assert (np.diff(small[part]) > 0).all()
    expected = len(small[part]) * np.bincount(labels[whole[part]]) / len(whole[part])
    assert abs(np.bincount(labels[small[part]], minlength=len(counts)) - expected).max() < 1.5
    for other in set(PARTS) - {part}:
        assert np.array_equal(small[other], whole[other])


def test_neither_large_nor_small_classes_are_favored():
    labels = labels_of([100] + [10] * 10)
    tested = split(labels, test=0.3, validation=0.5, test_limit=24)["test"]
    assert 10 <= np.count_nonzero(labels[tested] == 0) <= 14


def test_a_limit_is_no_first_n():
    parts = split(labels_of([500, 500]), {"train": 800, "test": 200}, test_limit=50)
    assert parts["test"].max() > 950


def test_the_canonical_split_keeps_its_test_set():
    labels = labels_of([60, 40])
    parts = split(labels, {"train": 80, "test": 20}, validation=0.25)
    assert parts["test"].tolist() == list(range(80, 100))
    assert [len(parts[part]) for part in PARTS] == [60, 20, 20]
    asked = split(labels, {"train": 80, "test": 20}, test=0.2)
    assert as_lists(asked) == as_lists(split(labels, test=0.2))
    assert as_lists(split(labels)) == as_lists(split(labels, test=0.2))


def test_the_seed_decides_and_nothing_else():
    labels = labels_of([50, 50])
    first = as_lists(split(labels, seed=3))
    np.random.seed(1)
    assert as_lists(split(labels, seed=3)) == first
    assert as_lists(split(labels, seed=4)) != first
    limited = [split(labels, test=0.5, validation=0.5, seed=s, train_limit=5) for s in range(9)]
    assert len({tuple(parts["train"]) for parts in limited}) > 5


EMPTY = {
    "one image of a class": ([20, 1], {}, "'class 1', which has 1, in the"),
    "a small test share": ([50, 50], {"test": 0.01}, "in the test part"),
    "a large test share": ([5, 5], {"test": 0.95, "validation": 0.1}, "in the (train|valid)"),
    "a small validation share": ([50, 50], {"validation": 0.001}, "in the validation part"),
    "no training left": ([5, 5], {"validation": 0.99}, "in the train part"),
}


@pytest.mark.parametrize("case", EMPTY)
def test_a_share_that_leaves_a_class_empty_is_refused(case):
    counts, options, words = EMPTY[case]
    with pytest.raises(GauntletError, match=words):
        split(labels_of(counts), **options)


@pytest.mark.parametrize("part", PARTS)
def test_a_limit_that_leaves_a_class_empty_is_refused(part):
    labels = labels_of([40, 40, 40])
    assert len(split(labels, **{f"{part}_limit": 3})[part]) == 3
    with pytest.raises(GauntletError, match=f"in the {part} part.*raise the part's limit"):
        split(labels, **{f"{part}_limit": 2})


def test_test_images_are_chosen_within_the_canonical_test_set():
    labels = labels_of([60, 40])
    whole = split(labels, {"train": 80, "test": 20})
    parts = split(labels, {"train": 80, "test": 20}, test_indices=np.array([7, 0, 3]))
    assert parts["test"].tolist() == [80, 83, 87]
    assert all(np.array_equal(parts[part], whole[part]) for part in ("train", "validation"))


def test_without_a_canonical_split_the_other_images_are_to_train_on():
    parts = split(labels_of([60, 40]), test_indices=np.arange(10, 15))
    assert parts["test"].tolist() == [10, 11, 12, 13, 14]
    rest = np.sort(np.concatenate([parts["train"], parts["validation"]]))
    assert rest.tolist() == [*range(10), *range(15, 100)]


INDICES = {
    "beyond the test set": ([19, 20], "asks for image 20, but there are 20; allowed are 0 to 19"),
    "one image twice": ([3, 1, 3], "names image 3 2 times"),
}


@pytest.mark.parametrize("case", INDICES)
def test_indices_that_do_not_fit_are_refused(case):
    indices, words = INDICES[case]
    with pytest.raises(GauntletError, match=words):
        split(labels_of([60, 40]), {"train": 80, "test": 20}, test_indices=np.array(indices))


@pytest.mark.parametrize("text", ["0 2\n7", "0,2, 7\n", "[0, 2, 7]"])
def test_numbers_are_read_from_a_file_or_a_range(tmp_path, text):
    path = tmp_path / "numbers.txt"
    path.write_text(text)
    assert read_indices({"file": str(path)}).tolist() == [0, 2, 7]
    assert read_indices({"first": 3, "last": 5}).tolist() == [3, 4, 5]


@pytest.mark.parametrize("content", [b"", b"1 two", b"-1", b"1.5", b"\xff\xfe"])
def test_a_file_of_anything_but_numbers_is_refused(tmp_path, content):
    path = tmp_path / "numbers.txt"
    path.write_bytes(content)
    with pytest.raises(GauntletError, match="numbers.txt (holds|cannot be read)"):
        read_indices({"file": str(path)})


def test_a_canonical_test_set_without_a_class_is_refused():
    with pytest.raises(GauntletError, match="'class 1', which has 40, in the test part"):
        split(np.repeat([0, 1, 0], [40, 40, 20]), {"train": 80, "test": 20})


def report(images: np.ndarray, labels: np.ndarray, foreign=False, **parts: list[int]) -> dict:
    chosen = {part: np.array(parts[part]) for part in PARTS}
    return split_report(images, labels, ["a", "b"], chosen, foreign)


def test_duplicates_are_counted_for_each_pair_of_parts():
    images = np.arange(12, dtype=np.uint8).reshape(12, 1, 1, 1)
    images[[5, 8, 9]] = images[0]  # train 0 and 5, test 8 and 9
    images[7] = images[10]  # validation 7, test 10
    labels = np.arange(12) % 2
    found = report(images, labels, train=[0, 1, 2, 3, 4, 5], validation=[6, 7], test=[8, 9, 10, 11])
    assert found["duplicates"] == {"train/validation": 0, "train/test": 2, "validation/test": 1}
    assert found["counts"] == {"train": 6, "validation": 2, "test": 4}
    assert found["class_counts"]["test"] == {"a": 2, "b": 2}
    assert found["warnings"] == [
        "2 of 4 test images are in the train part too.",
        "1 of 4 test images are in the validation part too.",
    ]


def test_what_is_wrong_with_a_split_is_said():
    images = np.arange(100, dtype=np.uint8).reshape(100, 1, 1, 1)
    labels = np.repeat([0, 1], 50)
    found = report(
        images,
        labels,
        foreign=True,
        train=[*range(40), *range(50, 60)],
        validation=[40, 61],
        test=[70, 71],
    )
    assert found["imbalance"] == pytest.approx({"train": 0.3, "validation": 0, "test": 0.5})
    assert found["warnings"] == [
        "In the train part a class's share is off by 30.0%.",
        "There is no image of a in the test part.",
        "The source's own test set is not used: results compare with no published ones.",
    ]


def test_an_image_in_two_parts_is_impossible():
    images, labels = np.zeros((4, 1, 1, 1), np.uint8), np.array([0, 1, 0, 1])
    with pytest.raises(AssertionError, match="two parts"):
        report(images, labels, train=[0, 1], validation=[1], test=[2])


def test_the_stage_writes_lists_and_warns(tmp_path, caplog):
    images = np.arange(200, dtype=np.uint8).reshape(200, 1, 1, 1)
    images[180:190] = images[:10]
    labels = np.arange(200) % 2
    inputs = [str(tmp_path / name) for name in ("images.npy", "labels.npy", "data.json")]
    canonical = {"train": 150, "test": 50}
    write_dataset(Dataset(images, labels, ["a", "b"], 255, [], canonical), "npz", *inputs)
    outputs = [tmp_path / "split.json", tmp_path / "report.json"]
    spec = {"test": None, "validation": 0.1, "seed": 0, "train_limit": None, "test_limit": None}
    split_data(*inputs, *map(str, outputs), spec=spec)
    parts = json.loads(outputs[0].read_text())
    assert {part: len(chosen) for part, chosen in parts.items()} == {
        "train": 135,
        "validation": 15,
        "test": 50,
    }
    assert parts["test"] == list(range(150, 200))
    found = json.loads(outputs[1].read_text())
    shared = found["duplicates"]
    assert shared["train/test"] + shared["validation/test"] == 10
    assert found["warnings"] == caplog.messages != []
    before = [Path(path).read_bytes() for path in outputs]
    split_data(*inputs, *map(str, outputs), spec=spec)
    assert [Path(path).read_bytes() for path in outputs] == before
    split_data(*inputs, *map(str, outputs), spec=spec | {"test_indices": {"first": 0, "last": 4}})
    assert json.loads(outputs[0].read_text())["test"] == list(range(150, 155))
