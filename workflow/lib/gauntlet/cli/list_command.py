"""`gauntlet list`: the plug-ins of a kind, each with the first sentence of its docstring."""

import ast
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from gauntlet.cli.errors import UsageMistake
from gauntlet.core import plugins


class Kind(StrEnum):
    """What can be listed."""

    ATTACKS = "attacks"
    DEFENSES = "defenses"
    MODELS = "models"
    DATA = "data"
    CERTIFICATES = "certificates"
    CHECKS = "checks"
    PREPROCESS = "preprocess"


FAMILIES = {
    Kind.ATTACKS: "attacks",
    Kind.DEFENSES: "training.defenses",
    Kind.MODELS: "models",
    Kind.DATA: "data",
    Kind.CERTIFICATES: "certify",
    Kind.CHECKS: "audit",
    Kind.PREPROCESS: "preprocess",
}


class Entry(NamedTuple):
    """A plug-in: its name, what it is, and what its function does."""

    name: str
    title: str
    sentence: str


def list_plugins(
    kind: Annotated[Kind, typer.Argument(help="What to list.")],
    folders: Annotated[
        list[Path] | None, typer.Option("--plugins", help="Also a folder of your own plug-ins.")
    ] = None,
    long: Annotated[bool, typer.Option("--long", "-l", help="Also what each does.")] = False,
) -> None:
    """List attacks, defenses, models, data, certificates, audit checks or steps before a model.

    Example: gauntlet list attacks --long
    """
    for folder in folders or []:
        if not folder.is_dir():
            raise UsageMistake(f"--plugins is '{folder}'; allowed is a folder that is there.")
    if folders:
        plugins.use(map(str, folders))
    entries = plugin_entries(kind)
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        typer.echo(f"{entry.name:<{width}}  {entry.title}")
        if long:
            typer.echo(f"{'':<{width}}  {entry.sentence}")


def plugin_entries(kind: Kind) -> list[Entry]:
    """Read the plug-ins of a kind without running them: files with a function of their name."""
    found = []
    for _, path in sorted(plugins.available(FAMILIES[kind]).items()):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name == path.stem:
                found.append(Entry(path.stem, _first(tree), _first(node)))
    return found


def _first(node: ast.Module | ast.FunctionDef) -> str:
    """Give the first paragraph of a docstring in one line."""
    text = ast.get_docstring(node) or ""
    return " ".join(text.partition("\n\n")[0].split())
