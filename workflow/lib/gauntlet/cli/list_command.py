"""`gauntlet list`: the plug-ins of a kind, each with the first sentence of its docstring."""

import ast
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from gauntlet.core.locations import PACKAGE


class Kind(StrEnum):
    """What can be listed."""

    ATTACKS = "attacks"
    DEFENSES = "defenses"
    MODELS = "models"
    DATA = "data"
    CERTIFICATES = "certificates"
    CHECKS = "checks"


FOLDERS = {
    Kind.ATTACKS: "attacks",
    Kind.DEFENSES: "training/defenses",
    Kind.MODELS: "models",
    Kind.DATA: "data",
    Kind.CERTIFICATES: "certify",
    Kind.CHECKS: "audit",
}


class Entry(NamedTuple):
    """A plug-in: its name, what it is, and what its function does."""

    name: str
    title: str
    sentence: str


def list_plugins(
    kind: Annotated[Kind, typer.Argument(help="What to list.")],
    long: Annotated[bool, typer.Option("--long", "-l", help="Also what each does.")] = False,
) -> None:
    """List attacks, defenses, models, data sources, certificates or audit checks.

    Example: gauntlet list attacks --long
    """
    entries = plugins_in(PACKAGE / FOLDERS[kind])
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        typer.echo(f"{entry.name:<{width}}  {entry.title}")
        if long:
            typer.echo(f"{'':<{width}}  {entry.sentence}")


def plugins_in(folder: Path) -> list[Entry]:
    """Read the plug-ins of a folder without running them: files with a function of their name."""
    found = []
    for path in sorted(folder.glob("[!_]*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name == path.stem:
                found.append(Entry(path.stem, _first(tree), _first(node)))
    return found


def _first(node: ast.Module | ast.FunctionDef) -> str:
    """Give the first paragraph of a docstring in one line."""
    text = ast.get_docstring(node) or ""
    return " ".join(text.partition("\n\n")[0].split())
