"""Write docs/reference/settings.md, every setting with its meaning, limits and default.

All of it comes from workflow/schemas/config.schema.yaml: `make docs` runs this file, and a test
holds the committed page against it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"
PAGE = ROOT / "docs" / "reference" / "settings.md"
Schema = dict[str, Any]
HEAD = """# Settings

Every key of a config file, made from `workflow/schemas/config.schema.yaml` (`make docs`).

Images are floats in [0, 1]. All lengths (`eps`, `step`, `sigma`) have the same unit, and each can
be written as a fraction such as `8/255`. YAML reads `1e-3` as text: write `0.001` or `1.0e-3`.
"""
FAMILIES = {  # definition, key that chooses the branch, heading
    "dataset": ("source", "Data sets: `datasets.<name>`"),
    "model": ("arch", "Models: `models.<name>`"),
    "layer": ("layer", "Layers of a `declared` model"),
    "attack": ("kind", "Attacks: `attacks.<name>`"),
    "certificate": ("kind", "Certificates: `certificates.<name>`"),
    "defense": ("kind", "Defenses: `defenses.<name>`"),
    "preprocess": ("kind", "Steps before a model: `preprocess.<name>`"),
}

TABLES = {  # definition, heading
    "search": "searches.<name>",
    "range": "searches.<name>.ranges.<setting>",
    "study": "studies.<name>",
    "requirement": "requirements.<name>",
}


def page(schema: Schema) -> str:
    """Give the whole page as Markdown."""
    parts = [HEAD, "## Top level", _table(schema, schema)]
    for key, part in schema["properties"].items():
        if part.get("type") == "object" and "properties" in part:
            parts += [f"## `{key}`", part["description"], _table(part, schema)]
    for family, (switch, heading) in FAMILIES.items():
        parts += [f"## {heading}", *_branches(family, switch, schema)]
    for name, heading in TABLES.items():
        parts += [f"## `{heading}`", _table(schema["$defs"][name], schema)]
    parts += ["## `split` of a data set", _table(schema["$defs"]["split"], schema)]
    return "\n\n".join(parts) + "\n"


def _branches(family: str, switch: str, schema: Schema) -> Iterator[str]:
    """Give a table for each kind, without the settings that all defenses share."""
    inherited = schema["$defs"]["defense_overrides"]["properties"] if family == "defense" else {}
    if inherited:
        yield "Every key of `training` can also stand in a defense, for that defense alone."
        searched = _resolved(inherited["from_search"], schema)["description"]
        searched = f"{searched[:1].lower()}{searched[1:]}"
        yield f"`from_search` can stand in the place of `kind`: {searched}"
    for kind in schema["$defs"][family]["properties"][switch]["enum"]:
        branch = schema["$defs"][f"{family}_{kind}"]
        left_out = {switch, "split", *inherited}
        rows = {k: v for k, v in branch["properties"].items() if k not in left_out}
        text = _rows(rows, branch.get("required", []), schema) if rows else "No settings."
        yield f"### `{switch}: {kind}`\n\n{text}"


def _table(part: Schema, schema: Schema) -> str:
    return _rows(part["properties"], part.get("required", []), schema)


def _rows(settings: Schema, required: list[str], schema: Schema) -> str:
    lines = ["| key | meaning | allowed | default |", "|:--|:--|:--|:--|"]
    for key, own in settings.items():
        target = _resolved(own, schema)
        cells = (f"`{key}`", target.get("description", ""), _allowed(target, schema))
        lines.append(_line(*cells, _default(target, key in required)))
    return "\n".join(lines)


def _line(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _resolved(part: Schema, schema: Schema) -> Schema:
    """Follow `$ref`; what stands beside it wins."""
    name = part.get("$ref", "").removeprefix("#/$defs/")
    return {**_resolved(schema["$defs"][name], schema), **part} if name else part


def _allowed(part: Schema, schema: Schema) -> str:
    if "title" in part:
        return part["title"]
    if "enum" in part:
        return ", ".join(f"`{_plain(word)}`" for word in part["enum"])
    kinds = part.get("type", "object")
    names = [kinds] if isinstance(kinds, str) else kinds
    words = " or ".join("a mapping" if name == "object" else _named(name) for name in names)
    if "array" in names and "items" in part:
        words += f" of {_allowed(_resolved(part['items'], schema), schema)}"
    return words + _limits(part)


def _named(kind: str) -> str:
    return {"integer": "a whole number", "array": "a list", "string": "text"}.get(kind, kind)


def _limits(part: Schema) -> str:
    words = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to"}
    words |= {"exclusiveMaximum": "below"}
    return "".join(f" {word} {part[key]:g}" for key, word in words.items() if key in part)


def _default(part: Schema, required: bool) -> str:
    if "default" in part:
        return f"`{_plain(part['default'])}`"
    return "must be given" if required else "none"


def _plain(value: Any) -> str:
    """Write a value as YAML does."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value)


if __name__ == "__main__":
    PAGE.write_text(page(yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))), encoding="utf-8")
