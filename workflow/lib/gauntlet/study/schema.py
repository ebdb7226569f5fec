"""Check a configuration against its closed schema, in plain sentences, and fill the defaults."""

from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from gauntlet.core import plugins
from gauntlet.core.errors import GauntletError
from gauntlet.study import (
    audit_gate,
    certificates,
    defenses,
    preprocess,
    pretrained,
    search_ranges,
    searches,
)
from gauntlet.study.models import model_problems
from gauntlet.study.own_plugins import plugin_problems
from gauntlet.study.plugin_schema import with_plugins
from gauntlet.study.resolve import Reference, contradictions
from gauntlet.study.schema_layers import layers, target
from gauntlet.study.schema_sentences import complaints
from gauntlet.study.typed_text import typed

SHOWN = 20  # problems that are shown at once


def complete(config: Any, schema_path: str | Path, texts: Any = None) -> dict[str, Any]:
    """Check a configuration and give a new one with every default filled in.

    `texts` is the part of it that came as text from a command line: where the schema allows another
    type there, the text is read as that type.
    Raises GauntletError with one sentence a line for all that is wrong, at most 20.
    """
    try:
        _use_plugins(config)
        schema = with_plugins(load_schema(str(schema_path)))
        _raise(searches.misplaced(config))
        return _completed(typed(searches.expanded(config), texts, schema), schema)
    except RecursionError:
        raise GauntletError(
            "The configuration is nested too deeply or contains itself; use fewer levels."
        ) from None


def _use_plugins(config: Any) -> None:
    """Make the user's own plug-ins known, in this process and those that it starts."""
    listed = config.get("plugins", []) if isinstance(config, dict) else []
    whole = isinstance(listed, list) and all(isinstance(part, str) for part in listed)
    folders = listed if whole else []  # what is no list of texts, the schema refuses
    plugins.use([])
    _raise(plugin_problems(folders))
    plugins.use(folders)


def _completed(config: Any, schema: dict[str, Any]) -> dict[str, Any]:
    _raise(complaints(config, schema, schema))
    references: list[Reference] = []
    filled = _fill(deepcopy(config), schema, (), schema, references)
    _raise(
        [
            *contradictions(filled, references),
            *defenses.contradictions(filled),
            *pretrained.freeze_problems(filled),
            *model_problems(filled),
            *certificates.contradictions(filled),
        ]
    )
    _raise([*audit_gate.contradictions(filled), *preprocess.contradictions(filled)])
    search_ranges.mark_whole_numbers(filled, schema)
    _raise(search_ranges.contradictions(filled, schema))
    return filled


@lru_cache(maxsize=4)
def load_schema(path: str) -> dict[str, Any]:
    """Read a schema file; the result is shared and must not be changed."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with open(path, "rb") as stream:
        return yaml.load(stream, loader)


def _raise(problems: list[str]) -> None:
    if not problems:
        return
    if len(problems) > SHOWN:
        problems = [*problems[: SHOWN - 1], f"There are {len(problems) - SHOWN + 1} more problems."]
    raise GauntletError("\n".join(problems))


def _fill(value: Any, schema: dict, path: tuple, root: dict, references: list[Reference]) -> Any:
    """Fill the defaults into a valid value, in place, and collect the names that it refers to."""
    for layer in list(layers(value, schema, root)):
        if "x-refers" in layer:
            references.append(Reference(path, value, layer["x-refers"]))
        if isinstance(value, dict):
            _fill_mapping(value, layer, path, root, references)
        elif isinstance(value, list) and "items" in layer:
            for place, item in enumerate(value):
                _fill(item, layer["items"], (*path, place), root, references)
    return value


def _fill_mapping(value: dict, layer: dict, path: tuple, root: dict, references: list) -> None:
    named, others = layer.get("properties", {}), layer.get("additionalProperties")
    for key, part in named.items():
        known = {**target(part, root), **part}
        if "default" in known:
            value.setdefault(key, deepcopy(known["default"]))
    for key, item in value.items():
        part = named.get(key, others)
        if isinstance(part, dict):
            _fill(item, part, (*path, key), root, references)
