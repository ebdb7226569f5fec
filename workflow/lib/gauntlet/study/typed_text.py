"""Texts from a command line, read as the types that the schema allows: '2' as a count is 2."""

from collections.abc import Iterator
from typing import Any

import yaml

from gauntlet.study.schema_layers import layers

Schema = dict[str, Any]


def typed(config: Any, texts: Any, schema: Schema) -> Any:
    """Give a configuration whose texts from `texts` have the types that the schema allows.

    `texts` is a part of the configuration, with the same keys. What fits no type stays a text, for
    the schema to refuse.
    """
    return _typed(config, texts, [schema], schema)


def _typed(value: Any, text: Any, schemas: list[Schema], root: Schema) -> Any:
    known = [layer for schema in schemas for layer in layers(value, schema, root)]
    if isinstance(value, dict) and isinstance(text, dict):
        changed = {
            key: _typed(value[key], part, list(_parts(key, known)), root)
            for key, part in text.items()
            if key in value
        }
        return {**value, **changed}
    if isinstance(value, list) and value == text:
        items = [layer["items"] for layer in known if isinstance(layer.get("items"), dict)]
        return [_typed(item, item, items, root) for item in value]
    return _read(value, known) if isinstance(value, str) and value == text else value


def _parts(key: str, known: list[Schema]) -> Iterator[Schema]:
    """Give the schemas of a key's value."""
    for layer in known:
        part = layer.get("properties", {}).get(key, layer.get("additionalProperties"))
        if isinstance(part, dict):
            yield part


def _read(text: str, known: list[Schema]) -> Any:
    kinds = [layer["type"] for layer in known if "type" in layer]
    allowed = {kind for some in kinds for kind in ([some] if isinstance(some, str) else some)}
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    if "number" in allowed and isinstance(found, str):  # YAML takes 1e-3 for a text
        return _number(text)
    return found if _kind(found) & allowed else text


def _kind(value: Any) -> set[str]:
    """Name the schema's types of a value."""
    kinds = {bool: {"boolean"}, int: {"integer", "number"}, float: {"number"}, list: {"array"}}
    return {"null"} if value is None else kinds.get(type(value), set())


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
