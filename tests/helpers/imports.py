"""What the project's files import, read from their syntax, without importing them."""

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.helpers.places import LIBRARY, ROOT, SCRIPTS

PACKAGE = LIBRARY / "gauntlet"
STARTS = {tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT}
STARTS |= {tokenize.ENCODING}


@dataclass(frozen=True)
class Import:
    """One imported name: where it stands, what it names, and whether it runs at load."""

    path: Path
    line: int
    name: str
    at_load: bool

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]

    @property
    def room(self) -> str | None:
        """The room of the library that the name lies in; None outside of it."""
        parts = self.name.split(".")
        return parts[1] if parts[0] == "gauntlet" and len(parts) > 1 else None

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} imports {self.name}"


def library_files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def script_files() -> list[Path]:
    return sorted(SCRIPTS.glob("*.py"))


def rule_files() -> list[Path]:
    """Give all that Snakemake parses."""
    workflow = ROOT / "workflow"
    return [*sorted(workflow.rglob("*.smk")), *workflow.glob("Snakefile"), ROOT / "Snakefile"]


def module_name(path: Path) -> str:
    parts = path.relative_to(LIBRARY).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


@cache
def modules() -> dict[str, Path]:
    return {module_name(path): path for path in library_files()}


@cache
def imports(path: Path) -> tuple[Import, ...]:
    """Give the imports of a Python file, those inside functions too."""
    return tuple(_found(path, ast.parse(path.read_text(encoding="utf-8")), 0, True))


@cache
def rule_imports(path: Path) -> tuple[Import, ...]:
    """Give the imports of a Snakemake file, whose own syntax `ast` cannot read."""
    found: list[Import] = []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    previous, start = tokenize.ENCODING, None
    for token in tokenize.generate_tokens(io.StringIO("".join(lines)).readline):
        if token.string in ("import", "from") and previous in STARTS and start is None:
            start = token.start
        if token.type == tokenize.NEWLINE and start:
            row, column = start
            text = "".join([lines[row - 1][column:], *lines[row : token.end[0]]])
            found += _found(path, ast.parse(text), row - 1, column == 0)
            start = None
        previous = token.type
    return tuple(found)


def at_load(path: Path) -> set[str]:
    """Give the library's modules that importing this one imports, parents among them."""
    seen: set[str] = set()
    todo = [module_name(path)]
    while todo:
        module = todo.pop()
        if module in modules() and module not in seen:
            seen.add(module)
            todo += [found.name for found in imports(modules()[module]) if found.at_load]
            todo.append(module.rpartition(".")[0])
    return seen


def _found(path: Path, node: ast.AST, before: int, loading: bool) -> Iterator[Import]:
    """Walk a syntax tree; what stands in a function, or for type checkers, is not run at load."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(path, before + node.lineno, alias.name, loading)
    elif isinstance(node, ast.ImportFrom):
        assert not node.level, f"{path.relative_to(ROOT)}:{before + node.lineno}: relative import"
        for alias in node.names:
            whole = f"{node.module}.{alias.name}"
            name = whole if whole in modules() or node.module == "gauntlet" else node.module
            yield Import(path, before + node.lineno, name, loading)
    typed = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    inner = loading and not typed
    inner &= not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
    for child in ast.iter_child_nodes(node):
        yield from _found(path, child, before, inner)
