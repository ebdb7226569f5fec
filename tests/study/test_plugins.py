"""A plug-in is one file: read without import, also outside the package, and checked before jobs."""

import inspect
import json
import os
import sys

import pytest
import torch
import yaml

from gauntlet import certify
from gauntlet.core import plugins
from gauntlet.core.errors import GauntletError
from gauntlet.core.plugin_facts import REQUIRED, facts
from gauntlet.stages.check_attack import check_attack
from gauntlet.study import audit_gate, code_hash, specs
from gauntlet.study.cost.resources import Sizes
from gauntlet.study.cost.work import work_of
from gauntlet.study.formula import value_of
from gauntlet.study.plan import Plan
from gauntlet.study.resolve import attack_points
from gauntlet.study.schema import complete, load_schema
from tests.helpers.overlays import SCHEMA, completed
from tests.helpers.own_plugins import ATTACK, CERTIFICATE, FILES, study_of, written
from tests.helpers.places import ROOT
from tests.helpers.snakes import merged

SCRIPTS = ROOT / "workflow" / "scripts"
KINDS = {"attack": "attacks", "certificate": "certify"}


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    """Leave no plug-in of a test behind."""
    monkeypatch.setenv(plugins.ENVIRONMENT, "[]")
    before = set(sys.modules)
    yield
    plugins.use([])
    for name in set(sys.modules) - before:
        if name.rpartition(".")[2] in (path[:-3].split("/")[1] for path in FILES):
            del sys.modules[name]


@pytest.fixture
def own(tmp_path):
    return written(tmp_path / "own")


@pytest.mark.parametrize("family", plugins.SUBFOLDERS)
def test_the_facts_of_the_package_are_what_python_sees(family):
    for name in plugins.available(family):
        module, known = plugins.load_module(family, name), facts(family, name)
        assert known.path == plugins.find(family, name)
        for constant, value in known.constants.items():
            assert getattr(module, constant) == value, (name, constant)
        seen = inspect.signature(getattr(module, name)).parameters.values()
        wanted = {p.name: p.default for p in seen if p.kind is p.KEYWORD_ONLY}
        assert {
            key: inspect.Parameter.empty if argument.default is REQUIRED else argument.default
            for key, argument in known.arguments.items()
        } == wanted, name


@pytest.mark.parametrize("family", KINDS)
def test_norms_of_the_schema_are_those_of_the_files(family):
    definitions = load_schema(str(SCHEMA))["$defs"]
    for name in plugins.available(KINDS[family]):
        rule = definitions[f"{family}_{name}"]["properties"].get("norm")
        norms = facts(KINDS[family], name).get("NORMS")
        assert rule is None if norms is None else sorted(rule["enum"]) == sorted(norms), name


def test_parsing_a_plug_in_runs_nothing(tmp_path):
    text = ATTACK + "\nopen('ran', 'w').close()\n"
    complete(study_of(written(tmp_path, {**FILES, "attacks/mine.py": text})), SCHEMA)
    assert not os.path.exists("ran")


def test_an_own_study_is_completed_specified_planned_and_sized(own):
    config = complete(study_of(own), SCHEMA)
    assert config["attacks"]["mine"]["norm"] == "linf"
    assert config["datasets"]["stripes"]["split"]["validation"] == 0.1
    assert audit_gate.checks_of(config, "own") == ["gradients", "above_chance"]
    plan, sizes = Plan(config), Sizes(config)
    named = {name for job in plan.jobs.values() for name in specs.plugins(plan.spec(job))}
    assert {f"gauntlet.{name}" for name in ("attacks.mine", "training.defenses.softened")} < named
    assert {"gauntlet.data.stripes", "gauntlet.audit.above_chance"} < named
    assert {"gauntlet.models.linear", "gauntlet.certify.boxes"} < named
    jobs = {job.rule: job for job in plan.jobs.values()}
    crafted = plan.spec(jobs["craft_examples"])
    assert [point["eps"] for point in crafted["points"]] == [0.05, 0.1]
    found = sizes.dataset("stripes")
    assert found[:3] == (144, 16, 40) and found.shape == (1, 8, 8)
    work = work_of("craft_examples", crafted, found)
    assert work.backwards == 2 * 1 * 40
    assert work.cost.parameters == 64 * 16 + 16 * 2
    proven = work_of("certify_robustness", plan.spec(jobs["certify_robustness"]), found)
    assert proven.forwards == 2 * 3 * 40
    assert all(sizes.memory(job.rule, job.names) > 0 for job in plan.jobs.values())


def test_own_plug_ins_are_loaded_beside_the_package(own):
    plugins.use([str(own)])
    assert plugins.load("attacks", "mine").__name__ == "mine"
    assert plugins.load_module("data", "stripes").__name__ == "gauntlet.data.stripes"
    assert plugins.load("attacks", "pgd").__module__ == "gauntlet.attacks.pgd"
    assert json.loads(os.environ[plugins.ENVIRONMENT]) == [str(own)]
    with pytest.raises(GauntletError, match=f"no plug-in 'yours' in gauntlet/attacks/ or in {own}"):
        plugins.load("attacks", "yours")


def test_a_plug_in_that_cannot_be_loaded_is_one_sentence(tmp_path):
    text = "import nothing_of_this_name\n" + ATTACK
    plugins.use([str(written(tmp_path, {"attacks/mine.py": text}))])
    with pytest.raises(GauntletError, match=r"mine.py cannot be loaded \(ModuleNotFoundError: No"):
        plugins.load("attacks", "mine")
    assert "gauntlet.attacks.mine" not in sys.modules


CRAFT = ("gauntlet.attacks.mine", "gauntlet.models.mlp")
OTHER = ("gauntlet.attacks.pgd", "gauntlet.models.mlp")
EDITS = {  # file, text, replacement, whether the own attack's jobs are stale
    "the file itself": ("own/attacks/mine.py", "step=eps", "step=eps / 2", True),
    "what it imports": ("fgsm.py", "steps=1", "steps=2", True),
    "its words": ("own/attacks/mine.py", "Take one full step.", "Step.", False),
    "its cost": ("own/attacks/mine.py", '"tries * 2"', '"tries * 3"', False),
    "another plug-in": ("own/defenses/softened.py", "smooth: float = 0.1", "smooth=0.2", False),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_changes_the_hash_of_its_own_jobs_alone(edit, own, monkeypatch):
    name, old, new, stale = EDITS[edit]
    plugins.use([str(own)])

    def hashes():
        code_hash._normalized.cache_clear()
        code_hash._closure.cache_clear()
        script = SCRIPTS / "craft_examples.py"
        return code_hash.code_hash(script, CRAFT), code_hash.code_hash(script, OTHER)

    before = hashes()
    if name == "fgsm.py":
        normalised = code_hash._Source

        def edited(text, package):
            return normalised(text.replace(old, new) if "def fgsm(" in text else text, package)

        monkeypatch.setattr(code_hash, "_Source", edited)
    else:
        path = own.parent / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
    mine, other = hashes()
    assert (mine != before[0]) == stale
    assert other == before[1]


def test_relative_imports_belong_to_a_plug_ins_code(tmp_path):
    (tmp_path / "attacks").mkdir()
    lines = ("from . import pgd", "from .base.jpeg import jpeg", "from ..core.rng import seed_for")
    (tmp_path / "attacks" / "near.py").write_text("\n".join(lines))
    plugins.use([str(tmp_path)])
    wanted = {"gauntlet.attacks.pgd", "gauntlet.attacks.base.jpeg", "gauntlet.core.rng"}
    assert wanted <= code_hash._closure(("gauntlet.attacks.near",))


def test_a_new_plug_in_leaves_all_specs_as_they_are(own, tmp_path):
    before = Plan(complete(study_of(own), SCHEMA))
    written(own, {"attacks/more.py": ATTACK.replace("mine", "more")})
    after = Plan(complete(study_of(own), SCHEMA))
    assert [before.spec(j) for j in before.jobs.values()] == [
        after.spec(j) for j in after.jobs.values()
    ]


NORMLESS = ATTACK.replace("norm: str, eps: float, ", "")
MISTAKES = {
    "a default of another type": (
        {"attacks/mine.py": ATTACK.replace("tries: int = 2", "tries=b'2'")},
        ["default of 'tries'", "is no literal of JSON's types"],
    ),
    "no schema": (
        {"attacks/mine.py": ATTACK + 'SETTINGS = {"tries": {"type": "int"}}'},
        ["SETTINGS['tries'] in", "allowed is a JSON schema"],
    ),
    "a reference": (
        {"attacks/mine.py": ATTACK + 'SETTINGS = {"tries": {"$ref": "#/x"}}'},
        ["SETTINGS['tries'] in", "without $ref"],
    ),
    "nested norms": (
        {"attacks/mine.py": ATTACK.replace('("linf",)', '[["linf"]]')},
        ["NORMS in", "allowed are some of linf, l2, l1"],
    ),
    "a slack in words": (
        {"attacks/mine.py": ATTACK.replace("CHECK_SLACK = 1.0", "CHECK_SLACK = 'much'")},
        ["CHECK_SLACK in", "allowed is a number of 0 or more"],
    ),
    "no folder": (None, ["plugins[0] is", "but there is no such folder", "allowed is a folder"]),
    "empty folder": ({"notes.txt": ""}, ["has none of the sub-folders attacks, audit"]),
    "a name of the package": (
        {"attacks/pgd.py": ATTACK.replace("def mine", "def pgd")},
        ["'pgd' exists twice", "each name of the family attacks once"],
    ),
    "no function": (
        {"attacks/mine.py": ATTACK.replace("def mine", "def yours")},
        ["mine.py has no function 'mine'"],
    ),
    "no Python": ({"attacks/mine.py": "def mine(:\n"}, ["mine.py is no Python file"]),
    "not UTF-8": ({"attacks/mine.py": b"\xff\xfe"}, ["mine.py is no Python file"]),
    "a file that is none": ({"attacks/mine.py": None}, ["mine.py cannot be read"]),
    "a name with a dash": ({"attacks/My-own.py": ATTACK}, ["the name 'My-own'", "small letters"]),
    "no streams": (
        {"attacks/mine.py": ATTACK.replace("*, streams, ", "*, ")},
        ["no keyword-only argument 'streams'"],
    ),
    "no norms": (
        {"attacks/mine.py": ATTACK.replace("NORMS", "N")},
        ["NORMS in", "is None; allowed are some of linf"],
    ),
    "no norms of a certificate": (
        {"certify/boxes.py": CERTIFICATE.replace("NORMS, DET", "N, DET")},
        ["NORMS in", "is None; allowed are some of linf"],
    ),
    "no threat": ({"attacks/mine.py": NORMLESS}, ["without the argument 'norm'", "THREAT", "SIZE"]),
    "no formula": (
        {"attacks/mine.py": ATTACK.replace("tries * 2", "open('x')")},
        ["is no formula; allowed are arithmetic"],
    ),
    "computed default": (
        {"attacks/mine.py": ATTACK.replace("tries: int = 2", "tries: int = len('ab')")},
        ["The default of 'tries'", "is no literal"],
    ),
    "no type": (
        {"attacks/mine.py": ATTACK.replace("tries: int = 2", "tries")},
        ["The argument 'tries'", "has no type"],
    ),
    "settings of nothing": (
        {"attacks/mine.py": ATTACK + "\nSETTINGS = {'more': {}}\n"},
        ["SETTINGS in", "allowed is a mapping from arguments of the function"],
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_sentence_before_any_job(case, tmp_path):
    files, fragments = MISTAKES[case]
    folder = tmp_path / "own"
    for name, text in (files or {}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            path.mkdir()
        else:
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(GauntletError) as raised:
        completed({"plugins": [str(folder)]})
    assert len(str(raised.value).splitlines()) == 1, raised.value
    for fragment in fragments:
        assert fragment in str(raised.value)


def test_a_name_in_two_folders_is_refused(own, tmp_path):
    other = written(tmp_path / "other", {"attacks/mine.py": ATTACK})
    with pytest.raises(GauntletError, match=r"'mine' exists twice, in .*own.* and in .*other"):
        completed({"plugins": [str(own), str(other)]})


SETTINGS = {
    "unknown key": ({"attacks": {"mine": {"shots": 3}}}, "attacks.mine.shots is no known key"),
    "wrong type": ({"attacks": {"mine": {"tries": "two"}}}, "attacks.mine.tries is 'two'"),
    "another norm": ({"attacks": {"mine": {"norm": "l2"}}}, "attacks.mine.norm is 'l2'"),
    "out of range": ({"defenses": {"soft": {"smooth": 1}}}, "defenses.soft.smooth is 1"),
    "unknown kind": ({"attacks": {"mine": {"kind": "mines"}}}, "nearest is 'mine'"),
    "unknown check": (
        {"studies": {"own": {"audit": ["above"]}}},
        "own.audit[0] is 'above'",
    ),
    "not for training": (
        {"defenses": {"soft": {"kind": "adversarial", "attack": "mine", "smooth": None}}},
        "defenses.soft.smooth is no known key",
    ),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_settings_of_own_plug_ins_are_checked(case, own):
    change, fragment = SETTINGS[case]
    with pytest.raises(GauntletError) as raised:
        complete(merged(study_of(own), change), SCHEMA)
    assert fragment in str(raised.value)


def test_a_kind_that_is_not_for_training_is_refused_there():
    change = {"defenses": {"d": {"kind": "adversarial", "attack": "a"}}}
    change["attacks"] = {"a": {"kind": "mifgsm", "eps": 0.1}}
    with pytest.raises(GauntletError, match="attack of kind apgd or fgsm or pgd"):
        completed(change)


FORMULAS = {
    "restarts * (steps + 1)": 22,
    "7 // 2 + 7 % 2 + 2**3 - -1": 13,
    "min(steps, 3) + max(1, 2) + ceil(0.5) + sqrt(4) + log2(8)": 11,
    "sum(t for t in range(1, steps + 1))": 55,
    "sizes['l2'] if norm == 'l2' else 0": 1.5,
    "prod(n // 2 for n in grid)": 6,
}
NAMES = {"restarts": 2, "steps": 10, "norm": "l2", "sizes": {"l2": 1.5}, "grid": [4, 6]}


@pytest.mark.parametrize("formula", FORMULAS)
def test_formulas_have_values(formula):
    assert value_of(formula, NAMES) == FORMULAS[formula]


@pytest.mark.parametrize(
    "formula",
    [
        *("().__class__", "open('x')", "steps.real", "[x := 1]", "lambda: 1", "import os"),
        *("min(a, key=b)", "unknown", "1 / 0", "{}", "", "1" * 3000),
    ],
)
def test_what_is_no_formula_is_refused(formula):
    with pytest.raises(GauntletError):
        value_of(formula, NAMES)


def test_the_example_of_the_documents_is_a_plug_in_that_works(tmp_path):
    page = (ROOT / "docs" / "how-to" / "write_a_plugin.md").read_text()
    code = page.split("```python\n")[1].split("```")[0]
    change = yaml.safe_load(page.split("```yaml\n")[1].split("```")[0])
    folder = written(tmp_path / "own", {"attacks/random_signs.py": code})
    config = completed(change | {"plugins": [str(folder)]})
    (point,) = attack_points(config["attacks"]["mine"])
    assert point == {"kind": "random_signs", "norm": "linf", "eps": 0.1, "tries": 50}
    record = check_attack(point, 64, "float32", torch.device("cpu"))
    assert record["slack"] == 3.0 and record["passed"], record
    with pytest.raises(GauntletError, match="from 1 to 1000"):
        completed(
            {
                "attacks": {"mine": {"kind": "random_signs", "eps": 0.1, "tries": 0}},
                "plugins": [str(folder)],
            }
        )


def test_a_step_without_a_random_start_is_no_error(tmp_path):
    text = ATTACK.replace("tries: int = 2", "step=None").replace("step=step", "step=eps")
    config = study_of(written(tmp_path, {**FILES, "attacks/mine.py": text}))
    config["attacks"]["mine"] = {"kind": "mine", "eps": 0.1, "step": 0.05}
    with pytest.raises(GauntletError, match="attacks.mine.step is 0.05, and 1 x 0.05 stays below"):
        complete(config, SCHEMA)


def test_a_certificate_that_does_not_say_it_is_one_is_no_proof(tmp_path):
    text = "\n".join(line for line in CERTIFICATE.splitlines() if "DETERMINISTIC" not in line)
    plugins.use([str(written(tmp_path, {"certify/boxes.py": text}))])
    assert not certify.deterministic("boxes")
