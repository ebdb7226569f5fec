"""The import law of the rooms, and files and functions of a size that can be read."""

import ast
import graphlib
import os
import statistics
import subprocess
import sys

import pytest

from tests.helpers import imports
from tests.helpers.places import LIBRARY, ROOT

# Each room, and the rooms that it may import.
TRAINED = {"core", "models", "attacks", "certify"}
STEPS = {"core", "attacks"}
MEASURED = {"core", "attacks", "training", "evaluation"}
STAGED = {"core", "data", "study"} | TRAINED | MEASURED
STAGED |= {"audit", "preprocess", "search", "tracking"}
ROOMS = {
    "core": set(),
    **dict.fromkeys(("data", "models", "attacks", "certify"), {"core"}),
    **dict.fromkeys(("evaluation", "study", "runtime"), {"core"}),
    "training": TRAINED,
    "preprocess": STEPS,
    "tracking": STEPS | {"models"},
    "search": {"core"},
    "audit": MEASURED,
    "reporting": {"core", "evaluation"},
    "stages": STAGED,
    "api": STAGED | {"stages", "reporting"},
    "cli": STAGED | {"stages", "reporting", "runtime", "api"},
}
# A script's head knows how a job is run; inside its function stands what the stage needs.
SCRIPT_HEAD = {"gauntlet.runtime.job"}
SCRIPT_BODY = STAGED | {"stages", "reporting"}
# What Snakemake parses, besides the rooms study and runtime.
RULES, RULES_ALSO = {"study", "runtime"}, {"gauntlet.core.errors"}
# The modules around the rooms: the package itself offers the API, `python -m gauntlet` the CLI.
FRONT = {"gauntlet": {"api", "core"}, "gauntlet.__main__": {"cli"}}
HEAVY = {"torch", "torchvision", "numpy", "scipy", "pandas", "matplotlib", "optuna"}
OTHER_TESTS = {"workflow", "cluster", "faults", "benchmarks", "helpers", "docs"}


def _hold(violations) -> None:
    found = list(violations)
    assert not found, "\n" + "\n".join(found)


def _allowed(path) -> set[str]:
    module = imports.module_name(path)
    if module in FRONT:
        return FRONT[module]
    room = module.split(".")[1]
    assert room in ROOMS, f"{path.relative_to(ROOT)}: the room '{room}' is not in the law's table"
    return ROOMS[room] | {room}


def _listed(allowed) -> str:
    return f"; allowed: {', '.join(sorted(allowed)) or 'no other room'}"


def test_rooms_import_only_the_rooms_of_the_law():
    _hold(
        f"{found}{_listed(_allowed(path))}"
        for path in imports.library_files()
        for found in imports.imports(path)
        if found.room and found.room not in _allowed(path)
    )


def test_the_library_never_imports_snakemake_or_a_script():
    scripts = {path.stem for path in imports.script_files()}
    _hold(
        f"{found}; allowed: neither Snakemake nor a script"
        for path in sorted(LIBRARY.rglob("*.py"))
        for found in imports.imports(path)
        if found.top in {"snakemake"} | scripts
    )


def test_scripts_import_what_a_job_and_its_stage_need():
    for path in imports.script_files():
        for found in imports.imports(path):
            if found.at_load:
                wrong = found.top == "gauntlet" and found.name not in SCRIPT_HEAD
                wrong |= found.top in HEAVY
                assert not wrong, f"{found} in its head{_listed(SCRIPT_HEAD)}"
            elif found.top == "gauntlet":
                assert found.room in SCRIPT_BODY, f"{found}{_listed(SCRIPT_BODY)}"


def test_rules_import_only_study_runtime_and_errors():
    seen = [found for path in imports.rule_files() for found in imports.rule_imports(path)]
    assert sum(found.top == "gauntlet" for found in seen) > 5
    _hold(
        f"{found}{_listed(RULES | RULES_ALSO)}"
        for found in seen
        if found.top == "gauntlet" and found.room not in RULES and found.name not in RULES_ALSO
    )
    _hold(f"{found}; parsing takes too long with it" for found in seen if found.top in HEAVY)


def test_no_module_imports_itself_over_others():
    graph = {
        name: {found.name for found in imports.imports(path)} & set(imports.modules()) - {name}
        for name, path in imports.modules().items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail("modules import each other: " + " <- ".join(error.args[1]))


def test_study_and_runtime_load_nothing_heavy_as_written():
    light = [path for path in imports.library_files() if _room(path) in ("study", "runtime")]
    assert len(light) > 20
    for path in light:
        for module in imports.at_load(path):
            for found in imports.imports(imports.modules()[module]):
                heavy = found.at_load and found.top in HEAVY
                assert not heavy, f"{found} at load, and {imports.module_name(path)} needs it"


def _room(path) -> str:
    return (imports.module_name(path).split(".") + [""])[1]


def test_study_and_runtime_load_nothing_heavy_when_run():
    """What the syntax does not show: what third packages import."""
    names = [name for name, path in imports.modules().items() if _room(path) in RULES]
    program = f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\n"
    program += f"print(*sorted({HEAVY!r} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [], f"parsing the workflow loads {done.stdout}"


READ = """import a
rule x:
    input: "import b"
    # import c
if True:
    from gauntlet.study import (
        plan,
        nothing_of_this_name,
    )
def f():
    from gauntlet import core; return
"""


def test_the_reader_of_rules_finds_every_import(tmp_path):
    path = tmp_path / "x.smk"
    path.write_text(READ)
    found = [(each.line, each.name) for each in imports.rule_imports(path)]
    study = [(6, "gauntlet.study.plan"), (6, "gauntlet.study")]
    assert found == [(1, "a"), *study, (11, "gauntlet.core")]


def test_the_reader_knows_what_runs_at_load(tmp_path):
    path = tmp_path / "x.py"
    path.write_text("import a\ntry:\n    import b\nfinally: pass\ndef f():\n    import c\n")
    assert [each.at_load for each in imports.imports(path)] == [True, True, False]


def test_every_room_has_its_tests():
    rooms = {path.name for path in imports.PACKAGE.iterdir() if (path / "__init__.py").exists()}
    for room in sorted(rooms):
        assert list((ROOT / "tests" / room).rglob("test_*.py")), f"tests/{room} has no tests"
    folders = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("*.py")}
    for folder in (path.parts[0] for path in folders if path.parts):
        assert folder in rooms | OTHER_TESTS, f"tests/{folder} mirrors no room of the library"


def _trees():
    for path in [*imports.library_files(), *imports.script_files()]:
        yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def test_scripts_name_snakemake_once_on_the_last_line():
    for path in imports.script_files():
        text = path.read_text(encoding="utf-8")
        named = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name))
        uses = [node.lineno for node in named if node.id == "snakemake"]
        assert uses == [len(text.splitlines())], f"{path}: `snakemake` on lines {uses}"
        last = text.splitlines()[-1].strip()
        wanted = (f"run({path.stem}, snakemake)", f"run_here({path.stem}, snakemake)")
        assert last in wanted, f"{path} must end with {' or '.join(wanted)}"


def test_importing_does_nothing():
    """At the top level stand only definitions, imports and the guarded start."""
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
    for path, tree in _trees():
        for node in tree.body:
            text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            test = ast.unparse(node.test) if isinstance(node, ast.If) else ""
            guarded = "__main__" in test or "TYPE_CHECKING" in test
            changes = isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name)
            known = isinstance(node, kinds) or text or guarded or changes
            assert known, f"{path}:{node.lineno} does something at import"


def _functions():
    for path, tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield f"{path}:{node.lineno} {node.name}", node.end_lineno - node.lineno + 1


def test_files_and_functions_can_be_read():
    files = [*imports.library_files(), *imports.script_files(), *imports.rule_files()]
    sizes = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    _hold(f"{p.relative_to(ROOT)}: {n} lines; at most 250" for p, n in sizes.items() if n > 250)
    functions = dict(_functions())
    _hold(f"{where}: {n} lines; at most 50" for where, n in functions.items() if n > 50)
    assert statistics.median(functions.values()) <= 12


def test_no_prints_in_the_library():
    """Only what is started from a terminal, or by the job's own process, writes to it."""
    for path, tree in _trees():
        guards = (ast.unparse(node.test) for node in tree.body if isinstance(node, ast.If))
        if path.parts[:4] == ("workflow", "lib", "gauntlet", "cli"):
            continue
        if any("__main__" in guard for guard in guards):
            continue
        for node in ast.walk(tree):
            printing = isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
            assert not printing, f"{path}:{node.lineno} prints; use the module's logger"
