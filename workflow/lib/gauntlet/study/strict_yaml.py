"""Keys that a YAML file has twice: YAML readers take the last one without a word."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from gauntlet.core.errors import GauntletError
from gauntlet.study.resolve import dotted

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def require_unique_keys(files: Iterable[str | Path]) -> None:
    """Raise GauntletError if a file has a key twice in one mapping, with the numbers of both lines.

    Files that cannot be read, or are no YAML, are left to those that read them.
    """
    problems = [problem for file in files for problem in _repeated_keys(Path(file))]
    if problems:
        raise GauntletError("\n".join(problems))


def _repeated_keys(file: Path) -> Iterator[str]:
    try:
        root = yaml.compose(file.read_text(encoding="utf-8"), LOADER)
    except (OSError, ValueError, yaml.YAMLError):
        return
    for path, first, again in _walk(root, (), set()):
        yield (
            f"{file}: {dotted(path)} is set on line {first} and again on line {again}; "
            "allowed is each key once."
        )


def _walk(node: yaml.Node | None, path: tuple, seen: set[int]) -> Iterator[tuple[tuple, int, int]]:
    """Give (path, line, line) of each key that is there again; an anchor is read once."""
    if id(node) in seen or not isinstance(node, yaml.CollectionNode):
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for place, item in enumerate(node.value):
            yield from _walk(item, (*path, place), seen)
        return
    lines: dict[tuple[str, str], int] = {}
    for key, value in node.value:
        name, line = str(key.value), key.start_mark.line + 1
        if isinstance(key, yaml.ScalarNode) and (first := lines.get((key.tag, name))):
            yield (*path, name), first, line
        lines.setdefault((key.tag, name), line)
        yield from _walk(value, (*path, name), seen)
