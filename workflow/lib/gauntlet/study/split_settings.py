"""A data set's `split`: what contradicts itself, and which test images are chosen by number."""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from gauntlet.core.plugin_facts import facts

RANGE = re.compile(r"([0-9]+)-([0-9]+)")
PARTS = ("train", "validation", "test")
NUMBERS = "allowed is a range such as '0-999', the path of a file of numbers, first: 1000, or null"


def chosen_indices(split: Mapping[str, Any]) -> dict[str, Any] | None:
    """Give the chosen test images as {"first": a, "last": b} or {"file": path}; None without."""
    asked = split.get("test_indices")
    if asked is None:
        return None
    if isinstance(asked, dict):
        return {"first": 0, "last": asked["first"] - 1}
    found = RANGE.fullmatch(asked)
    if found:
        return {"first": int(found.group(1)), "last": int(found.group(2))}
    return {"file": asked}


def chosen_count(split: Mapping[str, Any]) -> int | None:
    """Count the chosen test images; None without, or if their file cannot be read."""
    chosen = chosen_indices(split)
    if chosen is None:
        return None
    if "file" not in chosen:
        return chosen["last"] - chosen["first"] + 1
    try:
        with open(chosen["file"], encoding="utf-8") as stream:
            return len(re.findall("[0-9]+", stream.read()))
    except (OSError, ValueError):
        return None


def split_problems(name: str, dataset: Mapping[str, Any]) -> Iterator[str]:
    """Say what is wrong with a data set's split, each in one sentence."""
    split, path = dataset["split"], f"datasets.{name}.split"
    test = split["test"] or 0
    if test + split["validation"] >= 1:
        yield (
            f"{path} has test {test:g} and validation {split['validation']:g}; "
            f"allowed are shares with a sum below 1, so that images are left to train on."
        )
    classes = facts("data", dataset["source"]).get("CLASS_COUNT", 0)
    for part in PARTS:
        limit = split[f"{part}_limit"]
        if limit is not None and limit < classes:
            yield (
                f"{path}.{part}_limit is {limit}, but the data set has {classes} classes; allowed "
                f"is {classes} or more, so that every class has an image, or null."
            )
    if split["test_indices"] is not None:
        yield from _indices(f"{path}.test_indices", split)


def _indices(path: str, split: Mapping[str, Any]) -> Iterator[str]:
    chosen = chosen_indices(split)
    for key in ("test", "test_limit"):
        if split[key] is not None:
            yield f"{path} and {key} both choose the test images; allowed is one of them."
    if "file" in chosen and not os.path.isfile(chosen["file"]):
        yield f"{path} is {chosen['file']!r:.80}, and there is no such file; {NUMBERS}."
    elif "file" not in chosen and chosen["last"] < chosen["first"]:
        yield f"{path} is '{split['test_indices']}', which counts down; {NUMBERS}."
