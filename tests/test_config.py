"""Configurations that are right: defaults, overlays, and the specifications made from them."""

import importlib
import inspect
import json
import subprocess
import sys
import time
from copy import deepcopy
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator
from snakemake.utils import update_config

from gauntlet import spec
from gauntlet.config import attack_points, init_source, needed_crafted
from gauntlet.schema import complete, load_schema

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"
BASE = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
DEFINITIONS = load_schema(str(SCHEMA))["$defs"]
BASE_TRAINING = load_schema(str(SCHEMA))["properties"]["training"]["properties"].keys()
SWITCHES = {"dataset": "source", "model": "arch", "attack": "kind", "defense": "kind"}
FOLDERS = {"dataset": "data", "model": "models", "attack": "attacks", "defense": "defenses"}
COMPUTED = ("train", "craft", "transfer")
BRANCHES = [
    (family, kind)
    for family, switch in SWITCHES.items()
    for kind in DEFINITIONS[family]["properties"][switch]["enum"]
]


def laid_over(*overlays: dict) -> dict:
    """Lay overlays over the quickstart's configuration as Snakemake does."""
    config = deepcopy(BASE)
    for overlay in overlays:
        update_config(config, deepcopy(overlay))
    return config


def completed(*overlays: dict) -> dict:
    return complete(laid_over(*overlays), SCHEMA)


def all_specs(config: dict, study: str = "quickstart") -> dict[str, dict]:
    """Give every specification of a study under a name that tells the job."""
    specs = {"table": spec.table_spec(config, study), "figure": spec.figure_spec(config, study)}
    lists = config["studies"][study]
    for dataset in lists["datasets"]:
        specs[f"data {dataset}"] = spec.data_spec(config, dataset)
        specs[f"split {dataset}"] = spec.split_spec(config, dataset)
    for run in spec.runs(config, study):
        job = " ".join(map(str, run))
        specs[f"train {job}"] = spec.train_spec(config, *run)
        specs[f"evaluate {job}"] = spec.evaluate_spec(config, study, *run)
        for attack in lists["attacks"]:
            specs[f"craft {attack} {job}"] = spec.craft_spec(config, *run, attack, "test")
        for source, attack in spec.transfer_sets(config, study, run.defense):
            specs[f"transfer {attack} {job}"] = spec.transfer_spec(config, *run, source, attack)
    return specs


def changed(before: dict, after: dict) -> set[str]:
    """Name the kinds of jobs, and whose, that two sets of specifications differ in."""
    jobs = {job for job in before.keys() & after.keys() if before[job] != after[job]}
    return {job.replace(" digits article_cnn", "").rstrip("012").strip() for job in jobs}


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "article"])
def test_overlays_are_valid_and_run_their_own_studies(name):
    config = completed(yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text()))
    assert "quickstart" not in config["run"]
    for study in config["run"]:
        datasets = config["studies"][study]["datasets"]
        assert {config["datasets"][dataset]["source"] for dataset in datasets} != {"sklearn_digits"}
        assert all_specs(config, study)


def test_the_input_stays_as_it_was_and_completing_twice_changes_nothing():
    config = laid_over()
    once = complete(config, SCHEMA)
    assert config == BASE
    assert complete(once, SCHEMA) == once


DEFAULTS = [
    ({}, "compute.device", "auto"),
    ({}, "training.momentum", 0.9),
    ({}, "training.init", "none"),
    ({}, "datasets.digits.split.train_limit", None),
    ({"datasets": {"d": {"source": "mnist"}}}, "datasets.d.split.test", None),
    ({"datasets": {"d": {"source": "mnist"}}}, "datasets.d.split.validation", 0.1),
    ({"datasets": {"d": {"source": "npz", "path": "x.npz"}}}, "datasets.d.images_key", "images"),
    ({"models": {"m": {"arch": "mlp"}}}, "models.m.hidden", [256, 128]),
    ({"attacks": {"a": {"kind": "pgd", "eps": 0.1}}}, "attacks.a.norm", "linf"),
    ({"attacks": {"a": {"kind": "pgd", "eps": 0.1}}}, "attacks.a.loss_draws", 3),
    ({"defenses": {"d": {"kind": "trades", "attack": "pgd7"}}}, "defenses.d.beta", 6.0),
]


@pytest.mark.parametrize(("overlay", "key", "value"), DEFAULTS)
def test_defaults_are_filled(overlay, key, value):
    found = completed(overlay)
    for part in key.split("."):
        found = found[part]
    assert found == value


def test_only_the_selected_branch_fills_its_defaults():
    config = completed()
    assert not {"draws", "steps", "sigma"} & config["attacks"]["fgsm"].keys()
    assert config["defenses"]["baseline"] == {"kind": "standard", "selection": "last"}
    assert config["models"]["article_cnn"].keys() == {"arch", "channels", "hidden"}


@pytest.mark.parametrize("value", [0, 1, 0.5, "8/255", "0.5/255", "0/1", ["0/255", 0.1, "255/255"]])
def test_eps_may_be_a_number_a_fraction_or_an_ascending_list(value):
    completed({"attacks": {"a": {"kind": "fgsm", "eps": value}}})


POINTS = [
    ({"kind": "fgsm", "eps": "8/255"}, [(8 / 255, 8 / 255)]),
    ({"kind": "fgsm", "eps": 0.1, "random_start": True}, [(0.1, 0.125)]),
    ({"kind": "fgsm", "eps": 0.1, "random_start": True, "step": 0.0875}, [(0.1, 0.0875)]),
    ({"kind": "pgd", "eps": 0.2, "steps": 5}, [(0.2, 0.1)]),
    ({"kind": "pgd", "eps": 0.3, "steps": 3, "step": 0.1}, [(0.3, 0.1)]),
    ({"kind": "pgd", "eps": [0, "51/255"], "steps": 10}, [(0.0, 0.0), (0.2, 0.05)]),
    ({"kind": "pgd", "norm": "l2", "eps": 2, "steps": 10, "step": 0.2}, [(2.0, 0.2)]),
]


@pytest.mark.parametrize(("settings", "expected"), POINTS)
def test_an_attack_has_one_point_per_eps_with_its_step(settings, expected):
    points = attack_points(completed({"attacks": {"a": settings}})["attacks"]["a"])
    assert [(point["eps"], point["step"]) for point in points] == [
        pytest.approx(pair) for pair in expected
    ]
    assert all(type(value) is float for point in points for value in (point["eps"], point["step"]))


def test_specs_hold_json_in_sorted_order():
    for job, made in all_specs(completed()).items():
        text = json.dumps(made, allow_nan=False)
        assert json.dumps(made, sort_keys=True) == text, job
        assert json.loads(text) == made, job


def test_specs_of_models_name_no_definition():
    words = {
        "digits",
        *BASE["attacks"].keys() - {"fgsm"},  # also a kind
        *BASE["defenses"].keys() - {"static", "trades"},  # also kinds
    }
    for job, made in all_specs(completed()).items():
        if job.split()[0] in COMPUTED:
            assert not words & set(json.dumps(made).split('"')), job


PGD_AT = {"train pgd_at"}
EDITS = {
    "an unrelated defense": ({"defenses": {"new": {"kind": "trades", "attack": "pgd7"}}}, set()),
    "an unrelated attack": ({"attacks": {"new": {"kind": "pgd", "eps": 1}}}, set()),
    "an unrelated study": (
        {"studies": {"new": BASE["studies"]["quickstart"] | {"seeds": [7]}}, "run": ["new"]},
        set(),
    ),
    "the mirrors": ({"mirrors": ["https://mirror.example"]}, set()),
    "a default written out": ({"training": {"momentum": 0.9}}, set()),
    "eps as a fraction": ({"attacks": {"pgd7": {"eps": "15/100"}}}, set()),
    "draws of an attack that only trains": ({"attacks": {"pgd7": {"loss_draws": 9}}}, set()),
    "the look of figures": ({"figures": {"dpi": 99}}, {"figure"}),
    "a seed more": ({"studies": {"quickstart": {"seeds": [0, 1, 2, 3]}}}, {"table", "figure"}),
    "one defense's epochs": ({"defenses": {"pgd_at": {"epochs": 7}}}, PGD_AT),
    "one defense's start": ({"defenses": {"pgd_at": {"init": "baseline"}}}, PGD_AT),
    "an attack inside two defenses": (
        {"attacks": {"pgd7": {"eps": 0.1}}},
        {"train pgd_at", "train trades"},
    ),
    "an attack's eps": (
        {"attacks": {"pgd40": {"eps": 0.1}}},
        {f"craft pgd40 {defense}" for defense in BASE["defenses"]}
        | {f"transfer pgd40 {defense}" for defense in BASE["defenses"] if defense != "baseline"},
    ),
    "an attack's draws": (
        {"attacks": {"fgsm": {"loss_draws": 1}}},
        {f"craft fgsm {defense}" for defense in BASE["defenses"]},
    ),
    "the validation attack": (
        {"attacks": {"pgd10": {"steps": 11}}},
        {f"train {defense}" for defense in BASE["defenses"]},
    ),
    "the division": ({"datasets": {"digits": {"split": {"seed": 1}}}}, {"split digits"}),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_changes_exactly_these_specs(edit):
    overlay, expected = EDITS[edit]
    before, after = all_specs(completed()), all_specs(completed(overlay))
    assert changed(before, after) == expected


@pytest.mark.parametrize("compute", [{"threads": 2}, {"device": "mps"}, {"batch": 7}])
def test_the_machine_share_is_in_every_computed_spec(compute):
    before, after = all_specs(completed()), all_specs(completed({"compute": compute}))
    for job in before:
        assert (before[job] != after[job]) == (job.split()[0] in COMPUTED), job


def test_what_a_training_spec_resolves():
    config = completed({"defenses": {"pgd_at": {"epochs": 3, "init": "baseline"}}})
    made = spec.train_spec(config, "digits", "article_cnn", "pgd_at", "2")
    assert (made["seed"], made["training"]["epochs"], made["training"]["init"]) == (2, 3, True)
    assert made["defense"].keys() == {"kind", "attack", "clean_share"}
    assert made["defense"]["attack"]["steps"] == 7
    assert made["training"]["validation_attack"]["steps"] == 10
    static = spec.train_spec(config, "digits", "article_cnn", "static", 0)
    assert static["defense"] == {"kind": "static", "clean_share": 0.5}


def test_training_takes_one_draw_and_transfer_the_points_alone():
    config, run = completed(), ("digits", "article_cnn", "baseline", 0)
    assert spec.craft_spec(config, *run, "pgd40", "test")["loss_draws"] == 3
    assert spec.craft_spec(config, *run, "pgd40", "train")["loss_draws"] == 1
    made = spec.transfer_spec(config, *run, "baseline", "pgd40")
    assert made["points"] == [{"eps": 0.15, "kind": "pgd", "norm": "linf"}]


def test_who_needs_whom():
    config = completed()
    assert [init_source(config, name) for name in ("pgd_at", "static")] == [None, "baseline"]
    assert needed_crafted(config, "pgd_at") is None
    assert needed_crafted(config, "static") == ("baseline", "pgd40", "train")
    assert spec.transfer_sets(config, "quickstart", "baseline") == []
    assert spec.transfer_sets(config, "quickstart", "noise") == [("baseline", "pgd40")]
    runs = spec.runs(config, "quickstart")
    assert len(runs) == 18
    assert runs[1] == ("digits", "article_cnn", "baseline", 1)


def test_plugins_are_the_modules_that_a_spec_names():
    config, run = completed(), ("digits", "article_cnn", "trades", 0)
    assert spec.plugins(spec.train_spec(config, *run)) == [
        "gauntlet.attacks.pgd",
        "gauntlet.defenses.trades",
        "gauntlet.models.article_cnn",
    ]
    assert spec.plugins(spec.craft_spec(config, *run, "fgsm", "test")) == [
        "gauntlet.attacks.fgsm",
        "gauntlet.models.article_cnn",
    ]
    assert spec.plugins(spec.data_spec(config, "digits")) == ["gauntlet.data.sklearn_digits"]
    assert spec.plugins(spec.table_spec(config, "quickstart")) == []


DEVICES = [
    # environment, platform, machine, files, programs, device
    ({}, "linux", "x86_64", [], [], "cpu"),
    ({}, "linux", "x86_64", ["/dev/nvidia0"], [], "cuda"),
    ({"CUDA_VISIBLE_DEVICES": ""}, "linux", "x86_64", ["/dev/nvidia0"], ["nvidia-smi"], "cpu"),
    ({"CUDA_VISIBLE_DEVICES": "-1"}, "linux", "x86_64", ["/dev/nvidia0"], [], "cpu"),
    ({"CUDA_VISIBLE_DEVICES": "1"}, "linux", "x86_64", [], ["nvidia-smi"], "cuda"),
    ({"CUDA_VISIBLE_DEVICES": "1"}, "linux", "x86_64", [], [], "cpu"),
    ({}, "linux", "x86_64", [], ["nvidia-smi"], "cpu"),
    ({}, "darwin", "arm64", [], [], "mps"),
    ({}, "darwin", "x86_64", [], [], "cpu"),
]


@pytest.mark.parametrize(("environ", "platform", "machine", "files", "programs", "kind"), DEVICES)
def test_auto_finds_the_device(environ, platform, machine, files, programs, kind):
    fakes = {
        "environ": environ,
        "platform": platform,
        "machine": lambda: machine,
        "exists": lambda path: path in files,
        "which": lambda name: name if name in programs else None,
    }
    assert spec.device_kind({"compute": {"device": "auto"}}, **fakes) == kind
    assert spec.device_kind({"compute": {"device": "cpu"}}, **fakes) == "cpu"


def test_a_study_of_five_thousand_jobs_is_completed_and_specified_quickly():
    big = BASE["studies"]["quickstart"] | {"seeds": list(range(170))}
    config = laid_over({"studies": {"big": big}, "run": ["big"]})
    started = time.perf_counter()
    filled = complete(config, SCHEMA)
    middle = time.perf_counter()
    assert len(all_specs(filled, "big")) > 5000
    assert middle - started < 1
    assert time.perf_counter() - middle < 5


def test_parsing_imports_nothing_heavy():
    heavy = "{'torch', 'numpy', 'pandas', 'matplotlib', 'snakemake'}"
    code = f"import sys, gauntlet.schema, gauntlet.spec; print({heavy} & sys.modules.keys())"
    light = "import sys, gauntlet.spec; print({'yaml', 'jsonschema'} & sys.modules.keys())"
    for text in (code, light):
        command = [sys.executable, "-c", text]
        environ = {"PYTHONPATH": str(ROOT / "workflow" / "lib")}
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
        assert done.stdout == "set()\n"


# The schema itself


def subschemas(schema: object, path: str = ""):
    """Walk a schema's dicts with their paths."""
    if isinstance(schema, dict):
        yield path, schema
        for key, part in schema.items():
            yield from subschemas(part, f"{path}/{key}")
    elif isinstance(schema, list):
        for place, part in enumerate(schema):
            yield from subschemas(part, f"{path}/{place}")


def test_the_schema_is_a_schema():
    Draft202012Validator.check_schema(load_schema(str(SCHEMA)))


def test_the_schema_is_closed():
    for path, part in subschemas(load_schema(str(SCHEMA))):
        if part.get("type") == "object" and path.split("/")[-1] not in SWITCHES:
            assert part["additionalProperties"] is False or "propertyNames" in part, path


@pytest.mark.parametrize("family", SWITCHES)
def test_every_kind_has_its_branch(family):
    schema, switch = DEFINITIONS[family], SWITCHES[family]
    branches = {
        rule["if"]["properties"][switch]["const"]: rule["then"]["$ref"] for rule in schema["allOf"]
    }
    kinds = schema["properties"][switch]["enum"]
    assert branches == {kind: f"#/$defs/{family}_{kind}" for kind in kinds}
    assert all(switch in DEFINITIONS[f"{family}_{kind}"]["properties"] for kind in kinds)


def settings_of_users():
    """Give (path, key, schema, required) of every setting, `$ref` followed."""
    for path, part in subschemas(load_schema(str(SCHEMA))):
        if "/if" in path or not isinstance(part.get("properties"), dict):
            continue
        for key, own in part["properties"].items():
            target = DEFINITIONS.get(own.get("$ref", "").removeprefix("#/$defs/"), {})
            if own:
                yield path, key, {**target, **own}, key in part.get("required", [])


def test_every_setting_has_a_description_and_a_default_or_must_be_given():
    for path, key, schema, required in settings_of_users():
        assert schema.get("description"), f"{path}.{key}"
        inherited = "/$defs/defense_" in path and key in BASE_TRAINING
        optional = required or inherited or "absent = " in schema["description"]
        assert ("default" in schema) != optional, f"{path}.{key}"


def test_defenses_may_override_every_training_setting_but_with_no_default():
    for kind in DEFINITIONS["defense"]["properties"]["kind"]["enum"]:
        settings = DEFINITIONS[f"defense_{kind}"]["properties"]
        assert settings.keys() >= BASE_TRAINING
        assert not any("default" in settings[key] for key in BASE_TRAINING)


def test_every_setting_is_explained_in_the_readme():
    text = (ROOT / "config" / "README.md").read_text()
    missing = {key for _, key, _, _ in settings_of_users() if f"`{key}`" not in text}
    kinds = {kind for _, kind in BRANCHES if f"`{kind}`" not in text}
    assert missing | kinds == set()


# The schema and the plug-ins

# What the caller gives, not the configuration.
GIVEN = {
    "dataset": {"split"},
    "model": set(),
    "attack": {"loss_draws"},
    "defense": set(BASE_TRAINING),
}
HANDED = {
    "data": {"folder", "mirrors", "progress"},
    "models": set(),
    "attacks": {"generator", "early_stop"},
    "defenses": {"generator"},
}
# `static` gets the examples of `attack` against `source`, as files.
RENAMED = {("defense", "static"): {"crafted": {"attack", "source"}}}


@pytest.mark.parametrize(("family", "kind"), BRANCHES)
def test_settings_are_the_plugins_keyword_arguments(family, kind):
    folder = FOLDERS[family]
    function = getattr(importlib.import_module(f"gauntlet.{folder}.{kind}"), kind)
    named = {
        name
        for name, argument in inspect.signature(function).parameters.items()
        if argument.kind is argument.KEYWORD_ONLY
    }
    for name, settings in RENAMED.get((family, kind), {}).items():
        named = named - {name} | settings
    settings = DEFINITIONS[f"{family}_{kind}"]["properties"].keys()
    assert settings - GIVEN[family] - {SWITCHES[family]} == named - HANDED[folder]


@pytest.mark.parametrize("family", SWITCHES)
def test_every_plugin_file_is_in_the_schema(family):
    folder = ROOT / "workflow" / "lib" / "gauntlet" / FOLDERS[family]
    files = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")}
    assert files == {kind for own, kind in BRANCHES if own == family}
