"""A plug-in is one file: read without import, also outside the package, and checked before jobs."""

import inspect
import os

import pytest
import torch
import yaml

from gauntlet.core import plugins
from gauntlet.core.errors import GauntletError
from gauntlet.core.plugin_facts import REQUIRED, facts
from gauntlet.stages.check_attack import check_attack
from gauntlet.study import audit_gate, code_hash, specs
from gauntlet.study.attack_points import attack_points
from gauntlet.study.cost.resources import Sizes
from gauntlet.study.cost.work import work_of
from gauntlet.study.plan import Plan
from gauntlet.study.schema import complete, load_schema
from tests.helpers.overlays import SCHEMA, completed
from tests.helpers.own_plugins import (
    ATTACK,
    FILES,
    forgotten,  # noqa: F401
    own_folder,  # noqa: F401
    study_of,
    written,
)
from tests.helpers.places import ROOT

SCRIPTS = ROOT / "workflow" / "scripts"
KINDS = {"attack": "attacks", "certificate": "certify"}


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
