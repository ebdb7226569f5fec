"""Check a configuration against its closed schema, in plain sentences, and fill the defaults."""

import math
from collections.abc import Iterator
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError, validators

from gauntlet.core import plugins
from gauntlet.core.errors import GauntletError
from gauntlet.study import audit_gate, certificates, defenses, preprocess
from gauntlet.study.models import model_problems
from gauntlet.study.own_plugins import plugin_problems
from gauntlet.study.plugin_schema import with_plugins
from gauntlet.study.resolve import Reference, choices, contradictions, dotted
from gauntlet.study.schema_layers import layers, target
from gauntlet.study.typed_text import typed

SHOWN = 20  # problems that are shown at once
WIDTH = 60  # characters of a wrong value that are shown


def complete(config: Any, schema_path: str | Path, texts: Any = None) -> dict[str, Any]:
    """Check a configuration and give a new one with every default filled in.

    `texts` is the part of it that came as text from a command line: where the schema allows another
    type there, the text is read as that type.
    Raises GauntletError with one sentence a line for all that is wrong, at most 20.
    """
    try:
        _use_plugins(config)
        schema = with_plugins(load_schema(str(schema_path)))
        return _completed(typed(config, texts, schema), schema)
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
    _raise(_complaints(config, schema))
    references: list[Reference] = []
    filled = _fill(deepcopy(config), schema, (), schema, references)
    _raise(
        [
            *contradictions(filled, references),
            *defenses.contradictions(filled),
            *model_problems(filled),
            *certificates.contradictions(filled),
        ]
    )
    _raise([*audit_gate.contradictions(filled), *preprocess.contradictions(filled)])
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


def _complaints(config: Any, schema: dict[str, Any]) -> list[str]:
    types = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": lambda _, value: type(value) is int, "number": lambda _, value: _finite(value)}
    )
    strict = validators.extend(Draft202012Validator, type_checker=types)
    errors = strict(schema).iter_errors(config)
    return list(dict.fromkeys(text for error in errors for text in _sentences(error, schema)))


def _finite(value: Any) -> bool:
    return type(value) is int or (type(value) is float and math.isfinite(value))


def _sentences(error: ValidationError, root: dict[str, Any]) -> Iterator[str]:
    """Translate one error: where, which value, what is allowed."""
    path, value, schema = tuple(error.absolute_path), error.instance, error.schema
    if error.validator == "additionalProperties":
        known = sorted(schema["properties"])
        for key in (key for key in value if key not in schema["properties"]):
            yield f"{dotted((*path, str(key)))} is no known key; allowed are {choices(key, known)}."
    elif error.validator == "required":
        for key in (key for key in schema["required"] if key not in value):
            what = _allowed(schema["properties"][key], root)
            yield f"{dotted((*path, key))} is missing; it must be {what}."
    elif "propertyNames" in error.absolute_schema_path:
        yield f"{dotted(path)} has the name {_show(value)}; allowed is {_allowed(schema, root)}."
    else:
        what = _allowed(schema, root, value)
        yield f"{dotted(path)} is {_show(value)}; allowed is {what}{_hint(value, schema)}."


def _show(value: Any) -> str:
    """Write a value as the user would know it."""
    if value is None or value in ("", [], {}):
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return f"a mapping with {', '.join(map(repr, value))}"[:WIDTH]
    text = repr(value)
    return text if len(text) <= WIDTH else text[: WIDTH - 3] + "..."


def _hint(value: Any, schema: dict[str, Any]) -> str:
    """Say how to write what the user most likely meant."""
    types = schema.get("type", [])
    if types == "array" and isinstance(value, str | int | float) and value != "":
        return f" (write [{value!r:.80}] for a list of one)"
    if isinstance(value, str) and ("number" in types or "integer" in types):
        try:
            number = float(value)
        except ValueError:
            return ""
        return f" (this is text; write {number:.12g})" if math.isfinite(number) else ""
    if isinstance(value, bool) and "string" in types:
        return " (YAML reads on, off, yes and no as true and false; quote them)"
    return ""


def _allowed(schema: dict[str, Any], root: dict[str, Any], value: Any = None) -> str:
    """Say in words what a schema allows."""
    schema = {**target(schema, root), **schema}
    if "title" in schema:
        return schema["title"]
    if "enum" in schema:
        return "one of " + choices(value, [str(word) for word in schema["enum"]])
    types = schema.get("type", "object")
    return " or ".join(
        _in_words(kind, schema) for kind in ([types] if isinstance(types, str) else types)
    )


def _in_words(kind: str, schema: dict[str, Any]) -> str:
    nouns = {
        "integer": "a whole number",
        "number": "a number",
        "string": "a text that is not empty",
        "boolean": "true or false",
        "array": "a list",
        "object": "a mapping of settings",
        "null": "null",
    }
    if kind == "object" and "minProperties" in schema:
        return "a mapping with one or more entries"
    return nouns[kind] + (_range(schema) if kind in ("integer", "number") else "")


def _range(schema: dict[str, Any]) -> str:
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    upper = f" to {high}" if high is not None else f" to below {below}"
    bounded = high is not None or below is not None
    if above is not None:
        return f" above {above}" + (f" and{upper.replace(' to', '')}" if bounded else "")
    if bounded:
        return f" from {low}{upper}"
    return "" if low is None else f" of {low} or more"


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
