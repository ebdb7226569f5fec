"""The import law, and files and functions of a size that can be read."""

import ast

import pytest

from gauntlet.study import code_hash
from tests.helpers.places import ROOT

LIBRARY = ROOT / "workflow" / "lib" / "gauntlet"
SCRIPTS = ROOT / "workflow" / "scripts"
FAMILIES = {"attacks", "audit", "certify", "defenses", "models", "data"}
# What a plug-in may import from this package, besides private helpers of its own family.
PLUGIN_MAY = {"gauntlet.core.threat_models", "gauntlet.core.rng", "gauntlet.core.tensor_io"}
PLUGIN_MAY |= {"gauntlet.core.errors", "gauntlet.core.progress"}
PLUGIN_MAY |= {
    "gauntlet.attacks.base.norm_balls",
    "gauntlet.core.batched_model",
    "gauntlet.core.image_rng",
}  # what attacks stand on
PLUGIN_MAY |= {"gauntlet.core.layer_shapes"}  # what declared layers stand on
MEMBERS = {f"gauntlet.attacks.{name}" for name in ("apgd", "apgd_t", "fab_t", "pgd", "square")}
EXTRA = {"gauntlet.training.defenses.trades": {"gauntlet.models"}}  # eval mode inside its loss
CERTIFIED = ("gauntlet.training.defenses.ibp", "gauntlet.training.defenses.crown_ibp")
EXTRA |= dict.fromkeys(CERTIFIED, {"gauntlet.certify._training"})  # bounds with gradients
EXTRA |= dict.fromkeys(("gauntlet.attacks.autoattack", "gauntlet.attacks.gauntlet"), MEMBERS)
EXTRA["gauntlet.attacks.adaptive"] = MEMBERS | {"gauntlet.attacks.base.bpda"}
EXTRA["gauntlet.audit._substitute"] = {"gauntlet.attacks.pgd"}
EXTRA["gauntlet.audit.certificates"] = {"gauntlet.evaluation.attack_ledger"}
EXTRA["gauntlet.audit._subject"] = {  # what all checks share: attacks, judge, history
    *(
        "gauntlet.training.catastrophic_overfitting",
        "gauntlet.stages.judge",
        "gauntlet.attacks.base.bpda",
    ),
    *(f"gauntlet.attacks.{name}" for name in ("apgd", "fgsm", "gaussian_noise", "pgd", "square")),
}
# what parsing imports
LIGHT = ("assurance", "cluster", "config", "spec", "fingerprint", "errors", "schema", "warm")
LIGHT += ("parentage", "provenance")
LIGHT += ("certificates", "config_models", "crossing", "hardware", "shapes", "spec_models")
LIGHT += ("architectures", "costs", "passes", "places", "planning", "populations", "rates", "sizes")
HEAVY = {"torch", "torchvision", "numpy", "pandas", "matplotlib"}


def _modules():
    for path in sorted(LIBRARY.rglob("*.py")):
        parts = path.relative_to(LIBRARY.parent).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), path


MODULES = dict(_modules())


def _imports(path, deep=True):
    """Name every module that a file imports: at any depth, or when it is itself imported."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree) if deep else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module


def _family(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 2 and parts[1] in FAMILIES else None


@pytest.mark.parametrize("module", MODULES)
def test_library_never_imports_snakemake_or_scripts(module):
    scripts = {path.stem for path in SCRIPTS.glob("*.py")}
    tops = {name.split(".")[0] for name in _imports(MODULES[module])}
    assert not tops & ({"snakemake"} | scripts)


@pytest.mark.parametrize("module", [m for m in MODULES if _family(m)])
def test_plugins_import_only_what_they_may(module):
    family = f"gauntlet.{_family(module)}"
    for name in code_hash.imported_modules(MODULES[module].read_text()):
        own = name == family or name.startswith(f"{family}._")
        assert own or name == "gauntlet" or name in PLUGIN_MAY | EXTRA.get(module, set()), name


@pytest.mark.parametrize("name", LIGHT)
def test_parsing_imports_nothing_heavy(name):
    todo, seen = [f"gauntlet.{name}"], set()
    while todo:
        module = todo.pop()
        if module not in seen:
            seen.add(module)
            names = set(_imports(MODULES[module], deep=False))
            assert not {n.split(".")[0] for n in names} & HEAVY
            todo += [n for n in names if n in MODULES]


def test_common_rules_import_only_light_modules():
    files = sorted((ROOT / "workflow" / "rules").glob("*.smk"))
    lines = [line for path in files for line in path.read_text().splitlines()]
    whole = [line[21:] for line in lines if line.startswith("from gauntlet import")]
    names = {name.split(" as ")[0].strip() for line in whole for name in line.split(",")}
    names |= {line.split()[1][9:] for line in lines if line.startswith("from gauntlet.")}
    assert len(names) > 5 and names <= set(LIGHT)


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.py")), ids=lambda path: path.stem)
def test_scripts_name_snakemake_once_on_the_last_line(path):
    text = path.read_text()
    uses = [
        node.lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Name) and node.id == "snakemake"
    ]
    assert uses == [len(text.splitlines())]
    assert f"run({path.stem}, snakemake)" in text or f"run_here({path.stem}, snakemake)" in text


@pytest.mark.parametrize("path", [*MODULES.values(), *sorted(SCRIPTS.glob("*.py"))], ids=str)
def test_importing_does_nothing(path):
    """At the top level stand only definitions, imports and the guarded start."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Expr):
            assert isinstance(node.value, ast.Constant), f"{path}:{node.lineno}"
        guarded = isinstance(node, ast.If) and "__main__" in ast.unparse(node.test)
        typed = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign)
        assert guarded or typed or isinstance(node, (*kinds, ast.AnnAssign, ast.Expr))


@pytest.mark.parametrize("path", [*MODULES.values(), *sorted(SCRIPTS.glob("*.py"))], ids=str)
def test_sizes(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 250
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 50, f"{path}: {node.name}"


@pytest.mark.parametrize("module", MODULES)
def test_no_prints_in_the_library(module):
    """Only what is started from a terminal, or by the job's own process, speaks to it."""
    tree = ast.parse(MODULES[module].read_text())
    if any(isinstance(node, ast.If) and "__main__" in ast.unparse(node.test) for node in tree.body):
        return
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    assert not any(isinstance(call.func, ast.Name) and call.func.id == "print" for call in calls)
