"""What does not fit a schema, in plain sentences: where, which value, what is allowed."""

import math
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator, ValidationError, validators

from gauntlet.study.resolve import choices, dotted
from gauntlet.study.schema_layers import target

WIDTH = 60  # characters of a wrong value that are shown


def complaints(
    value: Any, schema: dict[str, Any], root: dict[str, Any], path: tuple[str | int, ...] = ()
) -> list[str]:
    """Say what of a value does not fit a schema, one sentence each.

    `root` is the whole schema, in which references are followed; `path` is where the value stands.
    """
    types = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": lambda _, value: type(value) is int, "number": lambda _, value: _finite(value)}
    )
    strict = validators.extend(Draft202012Validator, type_checker=types)(root)
    # evolve() would give a schema that names its draft that draft's own validator
    chosen = strict if schema is root else strict.evolve(schema=schema)
    found: list[str] = []
    for error in chosen.iter_errors(value):
        error.path.extendleft(reversed(path))
        found += _sentences(error, root)
    return list(dict.fromkeys(found))


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
