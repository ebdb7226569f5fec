"""The user's own files that a configuration names: those that are not there, or have a wrong name.

Standard library only; a configuration is one that `schema.complete` has filled.
"""

import os
import re
from collections.abc import Iterator
from typing import Any

from gauntlet.study.defenses import missing_extra
from gauntlet.study.models import MADE, local_weights
from gauntlet.study.pretrained import pretrained_path
from gauntlet.study.split_settings import chosen_indices

# What Snakemake replaces in the names of files: wildcards and path variables.
REPLACED = re.compile(r"\{\s*\w+\s*(,([^{}]|\{\d+(,\d+)?\})*)?\}|<[a-z][a-z0-9_]*>")


def own_file_problems(config: dict[str, Any]) -> list[str]:
    """Say what is wrong with the files that searches and studies that are run name: sentences."""
    found: list[str] = []
    for name in _named(config, "models", "model"):
        path = local_weights(config["models"][name])
        if path and not path.startswith(MADE):
            found += _weights(f"models.{name}.weights", path)
        if path := pretrained_path(config["models"][name]):
            found += _weights(f"models.{name}.pretrained", path)
    for name in _named(config, "datasets", "dataset"):
        settings = config["datasets"][name]
        path = settings.get("path")
        if path and not os.path.isdir(path):  # of a folder, a table of its files is named instead
            found += _unreadable(f"datasets.{name}.path", path)
        file = (chosen_indices(settings["split"]) or {}).get("file", "")
        found += _unreadable(f"datasets.{name}.split.test_indices", file)
    return found + missing_extra(config)


def _named(config: dict[str, Any], family: str, single: str) -> list[str]:
    """List what studies name under one key, and searches under another."""
    named = [name for study in config["run"] for name in config["studies"][study][family]]
    return list(dict.fromkeys(named + [own[single] for own in config["searches"].values()]))


def _weights(key: str, path: str) -> Iterator[str]:
    if not os.path.isfile(path):
        yield (
            f"{key} is '{path}', but there is no such file; allowed is a file's path, seen from "
            f"{os.getcwd()}, or an http(s) URL."
        )
    else:
        yield from _unreadable(key, path)


def _unreadable(key: str, path: str) -> Iterator[str]:
    part = REPLACED.search(path)
    if part:
        yield (
            f"{key} is '{path}', in which Snakemake would replace {part[0]}; allowed are names "
            "without such braces or angle brackets: rename the file, or name a link to it."
        )
