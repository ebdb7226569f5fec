"""Which code decides a result: a hash over a script and all it imports from this package.

Comments, docstrings and layout do not count. Standard library only: the workflow's parsing
imports this file.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

from gauntlet.core import plugins

# Facts of plug-ins that size jobs and decide no result.
COST_FACTS = frozenset(
    ("FORWARDS", "BACKWARDS", "DRAW_FORWARDS", "UPDATES", "COST_AT_224", "LAYERS", "IMAGES")
    + ("MACS", "FITTING")
)
LIBRARY = Path(__file__).resolve().parents[1]
# Modules that start jobs, print messages and draw trainings: they see results but decide none.
# Downloads are verified by content, so how they were fetched decides nothing either.
IGNORED_MODULES = frozenset(
    f"gauntlet.{name}"
    for name in ("runtime.job", "runtime.worker", "runtime.gpu_leases", "runtime.gpu_inventory")
    + ("runtime.cluster.node", "reporting.terminal", "core.progress", "core.files")
    + ("core.download.mirrors", "core.download.http", "core.download.meter", "data._debian")
    + ("stages.train_messages", "stages.train_tracking")
)


def code_hash(script: Path, named: tuple[str, ...] = ()) -> str:
    """Give a hash that changes when, and only when, the code of one kind of job changes.

    `script` is the stage's file; `named` are the modules of the plug-ins that its spec names.
    Raises FileNotFoundError if one of them does not exist.
    """
    own = _normalized(script.resolve())
    parts = {"": own.digest}
    for module in sorted(_closure((*own.imports, *named))):
        parts[module] = _source_of(module).digest
    text = "\n".join(f"{name} {digest}" for name, digest in parts.items())
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def module_path(module: str) -> Path | None:
    """Find the file of a module, which may be a user's plug-in; None if the name is no module."""
    base = LIBRARY.joinpath(*module.split(".")[1:])
    for path in (base / "__init__.py", base.with_suffix(".py")):
        if path.is_file():
            return path
    family, _, name = module.removeprefix("gauntlet.").rpartition(".")
    own = plugins.find(family, name) if family in plugins.SUBFOLDERS else None
    return None if own is None or plugins.is_built_in(own) else own


def imported_modules(source: str, package: str = "") -> set[str]:
    """Name every module of this package that a source imports, at any depth of nesting.

    `package` is that of the source itself, from which relative imports count.
    """
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.split(".")[0] == "gauntlet" and module_path(name)}


def _absolute(node: ast.ImportFrom, package: str) -> str:
    """Name what `from ... import` imports from, whether that is written relative or not."""
    above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
    return ".".join([*above, *([node.module] if node.module else [])])


class _Source:
    def __init__(self, text: str, package: str):
        self.imports = tuple(sorted(imported_modules(text, package) - IGNORED_MODULES))
        self.digest = hashlib.sha256(_deciding(text).encode()).hexdigest()


@cache
def _normalized(path: Path, package: str = "") -> _Source:
    return _Source(path.read_text(encoding="utf-8"), package)


def _source_of(module: str) -> _Source:
    """Read a module; relative imports of a package begin at itself, others at their parent."""
    path = module_path(module)
    if path is None:
        raise FileNotFoundError(f"no module {module} in {LIBRARY}")
    is_package = path.name == "__init__.py"
    return _normalized(path, module if is_package else module.rpartition(".")[0])


@cache
def _closure(modules: tuple[str, ...]) -> frozenset[str]:
    seen: set[str] = set()
    todo = [name for name in modules if name not in IGNORED_MODULES]
    while todo:
        module = todo.pop()
        if module in seen:
            continue
        seen.add(module)
        parent = module.rpartition(".")[0]
        todo += [*_source_of(module).imports, *([parent] if parent else [])]
    return frozenset(seen)


def _deciding(text: str) -> str:
    """Give the source as its syntax tree reads, without docstrings and what only sizes jobs."""
    tree = ast.parse(text)
    read = {node.id for node in ast.walk(tree) if _is_read(node)}
    tree.body = [node for node in tree.body if not _sizes_jobs(node, read)]
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_text(body[0]):
            node.body = body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def _is_read(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)


def _sizes_jobs(node: ast.stmt, read: set[str]) -> bool:
    """Tell whether a statement only binds facts that decide no result and that nothing reads."""
    if not isinstance(node, ast.Assign):
        return False
    parts = [part for target in node.targets for part in ast.walk(target)]
    names = {part.id for part in parts if isinstance(part, ast.Name)}
    return names <= COST_FACTS and not names & read


def _is_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
