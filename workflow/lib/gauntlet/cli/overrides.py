"""`key.path=value` on the command line: the value in the type that the schema wants."""

from collections.abc import Iterable, Iterator
from typing import Any

from gauntlet.cli.errors import UsageMistake
from gauntlet.study.resolve import choices

FORM = "allowed is key.path=value, such as training.epochs=2"


def read_overrides(words: Iterable[str], config: dict, schema: dict) -> dict[str, Any]:
    """Turn `training.epochs=2` words into one nested configuration.

    `config` is what the overrides lie over: a branch's keys depend on its kind. Raises UsageMistake
    for a word of another form, an unknown key, or a value that its key cannot take.
    """
    nested: dict[str, Any] = {}
    for word in words:
        path, given, text = word.partition("=")
        keys = path.split(".")
        if not given or not all(keys):
            raise UsageMistake(f"'{word}' is no setting; {FORM}.")
        value = _converted(path, text, _schemas_at(keys, merged(config, nested), schema))
        for key in reversed(keys):
            value = {key: value}
        nested = merged(nested, value)
    return nested


def merged(base: Any, change: Any) -> Any:
    """Lay a change over a configuration: mappings merge, lists and values are replaced."""
    if not (isinstance(base, dict) and isinstance(change, dict)):
        return change
    return base | {key: merged(base.get(key), value) for key, value in change.items()}


def _schemas_at(keys: list[str], config: Any, root: dict) -> list[dict]:
    """Give the schemas that the value of a key path must fit."""
    schemas = [root]
    for place, key in enumerate(keys):
        layers = [layer for schema in schemas for layer in _layers(schema, config, root)]
        found = [part for layer in layers if (part := _part(layer, key)) is not None]
        if not found:
            known = sorted({name for layer in layers for name in layer.get("properties", {})})
            named = ".".join(keys[: place + 1])
            allowed = f"allowed are {choices(key, known)}" if known else "it has no keys below it"
            raise UsageMistake(f"{named} is no known key; {allowed}.")
        schemas, config = found, config.get(key) if isinstance(config, dict) else None
    return [layer for schema in schemas for layer in _layers(schema, config, root)]


def _part(layer: dict, key: str) -> dict | None:
    named, others = layer.get("properties", {}), layer.get("additionalProperties")
    if named.get(key):
        return named[key]
    if key in named or isinstance(others, dict):
        return others if isinstance(others, dict) and key not in named else {}
    return {} if others is True else None


def _layers(schema: dict, value: Any, root: dict) -> Iterator[dict]:
    """Give a schema, what it refers to, and the branches that a value selects."""
    yield schema
    if "$ref" in schema:
        found = root
        for part in schema["$ref"].split("/")[1:]:
            found = found[part]
        yield from _layers(found, value, root)
    for rule in schema.get("allOf", []):
        tests = rule["if"]["properties"]
        known = isinstance(value, dict)
        if known and all(value.get(key) == test.get("const") for key, test in tests.items()):
            yield from _layers(rule["then"], value, root)


def _converted(path: str, text: str, schemas: list[dict]) -> Any:
    """Read a value as YAML, then as the types that are allowed; the schema judges what is left."""
    types = {kind for schema in schemas for kind in _types(schema)}
    value = _read(path, text)
    if isinstance(value, str) and "number" in types and _number(value) is not None:
        return _number(value)  # YAML takes 1e-3 for a text
    if types == {"string"} and not isinstance(value, str | list | dict):
        return text
    if "array" in types and not isinstance(value, list) and not types & _kinds(value):
        return [_read(path, part) for part in text.split(",")]
    return value


def _read(path: str, text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise UsageMistake(f"{path} is '{text}', which is no value in YAML; quote it.") from None


def _types(schema: dict) -> set[str]:
    kinds = schema.get("type", [])
    return {kinds} if isinstance(kinds, str) else set(kinds)


def _kinds(value: Any) -> set[str]:
    """Name the schema's types that a value has; a text with commas is taken for a list."""
    if isinstance(value, str):
        return set() if "," in value else {"string"}
    table = {bool: {"boolean"}, int: {"integer", "number"}, float: {"number"}, dict: {"object"}}
    return {"null"} if value is None else table.get(type(value), set())


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
