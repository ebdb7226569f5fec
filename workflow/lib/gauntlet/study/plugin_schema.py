"""The configuration's schema, with a branch for each of the user's own plug-ins.

The settings of a plug-in are its function's keyword-only arguments: annotations give the types, and
defaults the defaults. The constant SETTINGS, a JSON schema for each argument, refines them.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from gauntlet.core.plugin_facts import REQUIRED, Argument, PluginFacts, read_facts
from gauntlet.core.plugins import available, is_built_in
from gauntlet.study.families import FAMILIES, HANDED

Schema = dict[str, Any]
# Settings with a definition of their own in the schema.
SHARED = {
    "attack": {"norm": "norm", "eps": "eps", "step": "step", "sigma": "sigma"},
    "certificate": {"norm": "norm", "eps": "proven_eps", "radius": "radius", "ceiling": "ceiling"},
    "defense": {"eps": "certified_eps", "sigma": "sigma"},
}
TYPES = {
    **{"bool": "boolean", "int": "integer", "float": "number", "str": "string", "None": "null"},
    **{"list": "array", "tuple": "array", "Sequence": "array", "dict": "object"},
}


def with_plugins(schema: Schema) -> Schema:
    """Give the schema with the plug-ins outside the package; the schema itself without any."""
    if not any(_outside(family.package) for family in FAMILIES.values()) and not _outside("audit"):
        return schema
    own = deepcopy(schema)
    definitions = own["$defs"]
    for name, family in FAMILIES.items():
        for kind, known in _outside(family.package).items():
            _add(definitions, name, kind, family.switch, known)
    checks = definitions["study"]["properties"]["audit"]["items"]["enum"]
    checks += list(_outside("audit"))
    return own


def _outside(package: str) -> dict[str, PluginFacts]:
    files = {name: path for name, path in available(package).items() if not is_built_in(path)}
    return {name: read_facts(path) for name, path in files.items()}


def _add(definitions: Schema, family: str, kind: str, switch: str, known: PluginFacts) -> None:
    branch, reference = f"{family}_{kind}", f"#/$defs/{family}_{kind}"
    definitions[family]["properties"][switch]["enum"].append(kind)
    test = {"properties": {switch: {"const": kind}}, "required": [switch]}
    definitions[family]["allOf"].append({"if": test, "then": {"$ref": reference}})
    settings = _given(definitions, family, switch, known)
    named = {
        key: arg
        for key, arg in known.arguments.items()
        if key not in HANDED[FAMILIES[family].package]
    }
    for key, argument in named.items():
        settings[key] = _setting(family, key, argument, known)
    definitions[branch] = {
        "type": "object",
        "additionalProperties": False,
        "properties": settings,
        "required": _required(family, named, known),
    }


def _given(definitions: Schema, family: str, switch: str, known: PluginFacts) -> Schema:
    """Give the settings that every plug-in of a family has, or that its arguments ask for."""
    settings: Schema = {switch: {}}
    if family == "dataset":
        return settings | {"split": {"$ref": "#/$defs/split", "default": {}}}
    if family == "model":
        return settings | {
            key: rule
            for key, rule in definitions["model_torchscript"]["properties"].items()
            if key != switch
        }
    if family == "attack":
        if "early_stop" in known.arguments:
            settings["loss_draws"] = {"$ref": "#/$defs/loss_draws", "default": 0}
        if known.minimum_norm:  # where its curve is read
            settings["eps"] = {"$ref": "#/$defs/eps"}
    if family == "preprocess":
        made = definitions["preprocess_denoising_autoencoder"]["properties"]
        keys = ("adaptive", "attack") if known.get("FITTED") == "examples" else ("adaptive",)
        settings |= {key: made[key] for key in keys}
    if family == "defense":
        settings |= definitions["defense_overrides"]["properties"]
        if "attack" in known.arguments:
            settings["attack"] = definitions["defense_adversarial"]["properties"]["attack"]
        if "crafted" in known.arguments:
            made = definitions["defense_static"]["properties"]
            settings |= {key: made[key] for key in ("attack", "source")}
        if "teacher" in known.arguments:
            settings["teacher"] = definitions["defense_ard"]["properties"]["teacher"]
    return settings


def _required(family: str, named: Mapping[str, Argument], known: PluginFacts) -> list[str]:
    free = [key for key, argument in named.items() if argument.default is REQUIRED]
    wanted = [key for key in free if key not in ("norm", "step")]
    if family == "attack" and "norm" in named and "eps" not in wanted:
        wanted.append("eps")
    if family == "preprocess" and known.get("FITTED") == "examples":
        wanted.append("attack")
    if family == "defense":
        wanted += ["attack"] if {"attack", "crafted"} & set(known.arguments) else []
        wanted += ["source"] if "crafted" in known.arguments else []
        wanted += ["teacher"] if "teacher" in known.arguments else []
    return wanted


def _setting(family: str, key: str, argument: Argument, known: PluginFacts) -> Schema:
    """Give the schema of one argument."""
    refined = deepcopy(known.get("SETTINGS", {}).get(key, {}))
    if key in SHARED.get(family, {}):
        rule: Schema = {"$ref": f"#/$defs/{SHARED[family][key]}"}
    else:
        rule = {"type": types} if (types := _types(argument)) else {}
    if key == "norm":
        rule |= {"enum": list(known.get("NORMS")), "default": known.get("NORMS")[0]}
    if key == "step" and family == "attack":
        rule["default"] = None
    hidden = key == "eps" and family == "attack"
    if argument.default is not REQUIRED and not hidden and "default" not in refined:
        default = argument.default
        rule["default"] = list(default) if isinstance(default, tuple) else default
    return rule | refined


def _types(argument: Argument) -> list[str]:
    """Give the JSON types of an annotation, or else of a default; an empty list for any."""
    parts = [part.strip().partition("[")[0] for part in argument.annotation.split("|")]
    parts = [part.rpartition(".")[2] for part in parts if part]
    if not parts and argument.default is not REQUIRED:
        parts = [type(argument.default).__name__.replace("NoneType", "")]
    found = [TYPES[part] for part in parts if part in TYPES]
    return found if len(found) == len(parts) else []
