"""The schema itself: closed, explained, and the plug-ins' own keyword arguments."""

import importlib
import inspect

import pytest
from jsonschema import Draft202012Validator

from gauntlet.study.schema import load_schema
from tests.helpers.places import ROOT

SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"
DEFINITIONS = load_schema(str(SCHEMA))["$defs"]
BASE_TRAINING = load_schema(str(SCHEMA))["properties"]["training"]["properties"].keys()
SWITCHES = {"dataset": "source", "model": "arch", "attack": "kind", "defense": "kind"}
SWITCHES |= {"certificate": "kind"}
SWITCHES |= {"layer": "layer", "preprocess": "kind"}
FOLDERS = {"dataset": "data", "model": "models", "attack": "attacks"}
FOLDERS |= {"certificate": "certify", "defense": "training.defenses"}
FOLDERS |= {"preprocess": "preprocess"}
BRANCHES = [
    (family, kind)
    for family, switch in SWITCHES.items()
    for kind in DEFINITIONS[family]["properties"][switch]["enum"]
]
PLUGINS = [(family, kind) for family, kind in BRANCHES if family in FOLDERS]


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


# The schema and the plug-ins

# What the caller gives, not the configuration.
GIVEN = {
    "dataset": {"split"},
    "model": set(DEFINITIONS["model_onnx"]["properties"]) - {"arch"},
    "attack": {"loss_draws"},
    "certificate": set(),
    "defense": {*BASE_TRAINING, "from_search"},
    "preprocess": {"adaptive", "attack"},
}
HANDED = {
    "data": {"folder", "mirrors", "progress"},
    "models": {"artefact", "gradients"},
    "attacks": {"streams", "early_stop"},
    "certify": {"streams", "generator"},
    "training.defenses": {"generator", "size", "inner", "memory"},
    "preprocess": set(),
}
# Examples of `attack` against `source` or `sources` come as files.
RENAMED = {
    ("defense", "static"): {"crafted": {"attack", "source"}},
    ("defense", "ensemble"): {"crafted": {"sources"}},
    ("model", "torchvision"): {"name": {"name", "pretrained"}},  # where a training begins
}


@pytest.mark.parametrize(("family", "kind"), PLUGINS)
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
    if family == "attack" and "norm" in named:
        named = named | {"eps"}  # of a minimal-distance attack: where its curve is read
    settings = DEFINITIONS[f"{family}_{kind}"]["properties"].keys()
    assert settings - GIVEN[family] - {SWITCHES[family]} == named - HANDED[folder]


@pytest.mark.parametrize("family", FOLDERS)
def test_every_plugin_file_is_in_the_schema(family):
    folder = ROOT / "workflow" / "lib" / "gauntlet" / FOLDERS[family].replace(".", "/")
    files = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")}
    assert files == {kind for own, kind in BRANCHES if own == family}


@pytest.mark.parametrize(("family", "kind"), PLUGINS)
def test_defaults_are_those_of_the_plugins_arguments(family, kind):
    """Who calls the function itself gets the attack that a study would run."""
    function = getattr(importlib.import_module(f"gauntlet.{FOLDERS[family]}.{kind}"), kind)
    taken = inspect.signature(function).parameters
    for name, schema in DEFINITIONS[f"{family}_{kind}"]["properties"].items():
        resolved = {
            **DEFINITIONS.get(schema.get("$ref", "").removeprefix("#/$defs/"), {}),
            **schema,
        }
        argument = taken.get(name)
        if argument is None or "default" not in resolved or resolved["default"] is None:
            continue
        if argument.default is not argument.empty and argument.default is not None:
            given = argument.default
            given = list(given) if isinstance(given, tuple) else given
            assert given == resolved["default"], f"{family} {kind}: {name}"
