"""What of a schema applies to a value: references are followed, branches chosen by the value."""

from collections.abc import Iterator
from typing import Any


def target(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """Look up what `$ref` points to in the same file; an empty schema without one."""
    found: Any = root if "$ref" in schema else {}
    for part in schema.get("$ref", "#").split("/")[1:]:
        found = found[part]
    return found


def layers(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give a schema, what it refers to, and the branches that this value selects."""
    yield schema
    if "$ref" in schema:
        yield from layers(value, target(schema, root), root)
    for rule in schema.get("allOf", []):
        tests = rule["if"]["properties"]
        if all(value.get(key) == test["const"] for key, test in tests.items()):
            yield from layers(value, rule["then"], root)
