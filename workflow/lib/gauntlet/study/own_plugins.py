"""A user's own plug-ins: found in the folders of `plugins`, and checked before any job.

A plug-in's file is read, never run.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, SchemaError

from gauntlet.core.errors import GauntletError
from gauntlet.core.plugin_facts import COMPUTED, REQUIRED, PluginFacts, read_facts
from gauntlet.core.plugins import LIBRARY, SUBFOLDERS, plugin_files
from gauntlet.study.families import HANDED
from gauntlet.study.formula import compiled
from gauntlet.study.models import is_plain

NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
NORMS = ("linf", "l2", "l1")
FORMULAS = (
    *("FORWARDS", "BACKWARDS", "DRAW_FORWARDS", "UPDATES"),
    *("DEFAULT_STEP", "LAYERS", "MACS", "FITTING"),
)
NUMBERS = ("CHECK_SLACK", "ORDER")
SWITCHES = ("LOW_PRECISION",)
REFINES = "a JSON schema such as {'minimum': 1}, without $ref and allOf"
STEP_FACTS = {
    "GRADIENT": ("exact", "straight_through"),
    "RANDOM": (False, True),
    "FITTED": ("", "examples", "images"),
}
# Arguments that the function of a plug-in must have.
WANTED = {"attacks": "streams", "training.defenses": "generator"}


def plugin_problems(folders: list[str]) -> list[str]:
    """Find what is wrong with folders of plug-ins and the files in them, one sentence each."""
    problems, places = [], {family: _built_in(family) for family in SUBFOLDERS}
    for number, folder in enumerate(folders):
        missing = _folder(f"plugins[{number}]", Path(folder))
        problems += [missing] if missing else []
        for family, subfolder in SUBFOLDERS.items():
            for name, path in plugin_files(Path(folder) / subfolder).items():
                before = places[family].setdefault(name, path)
                if before != path:
                    problems.append(
                        f"The plug-in '{name}' exists twice, in {before} and in {path}; allowed is "
                        f"each name of the family {subfolder} once."
                    )
                problems += _file(family, name, path)
    return problems


def _built_in(family: str) -> dict[str, Path]:
    return plugin_files(LIBRARY.joinpath(*family.split(".")))


def _folder(key: str, folder: Path) -> str | None:
    known = ", ".join(SUBFOLDERS.values())
    if not folder.is_dir():
        return (
            f"{key} is '{folder}', but there is no such folder; allowed is a folder's path, seen "
            f"from {os.getcwd()}, with some of the sub-folders {known}."
        )
    if not any((folder / name).is_dir() for name in SUBFOLDERS.values()):
        return f"{key} is '{folder}', which has none of the sub-folders {known}."
    return None


def _file(family: str, name: str, path: Path) -> Iterator[str]:
    if not NAME.fullmatch(name):
        yield (
            f"The plug-in {path} has the name '{name}'; allowed is a name of small letters, digits "
            "and underscores that starts with a letter (at most 64)."
        )
        return
    try:
        known = read_facts(path)
        for formula in (known.constants[key] for key in FORMULAS if key in known.constants):
            compiled(str(formula))
    except GauntletError as error:
        yield str(error) if str(path) in str(error) else f"In the plug-in {path}: {error}"
        return
    for key in (key for key in NUMBERS if key in known.constants):
        if type(known.get(key)) not in (int, float) or not known.get(key) >= 0:
            yield f"{key} in {path} is {known.get(key)!r:.80}; allowed is a number of 0 or more."
    for key in (key for key in SWITCHES if key in known.constants):
        if not isinstance(known.get(key), bool):
            yield f"{key} in {path} is {known.get(key)!r:.80}; allowed are True and False."
    wanted = WANTED.get(family)
    if wanted and wanted not in known.arguments:
        yield f"The function of {path} has no keyword-only argument '{wanted}'; it must have one."
    if family in ("attacks", "certify"):
        yield from _threat(family, path, known)
    if family == "preprocess":
        yield from _step(path, known)
    yield from _settings(family, path, known)


def _step(path: Path, known: PluginFacts) -> Iterator[str]:
    """Check what the constants of a step before a model say."""
    for name, allowed in STEP_FACTS.items():
        if known.get(name, allowed[0]) not in allowed:
            listed = ", ".join(map(repr, allowed))
            yield f"{name} in {path} is {known.get(name)!r:.80}; allowed are {listed}."


def _threat(family: str, path: Path, known: PluginFacts) -> Iterator[str]:
    """Ask for the norms of a plug-in with a norm, and for the threat model of one without."""
    norms = known.get("NORMS")
    if "norm" in known.arguments:
        if not isinstance(norms, tuple | list) or not norms or any(n not in NORMS for n in norms):
            yield f"NORMS in {path} is {norms!r}; allowed are some of {', '.join(NORMS)}."
        return
    if family == "certify":
        yield f"The function of {path} has no keyword-only argument 'norm'; it must have one."
    elif not isinstance(known.get("THREAT"), str) or known.get("SIZE") not in known.arguments:
        yield (
            f"{path} has an attack without the argument 'norm'; it must have the constants THREAT, "
            "the name of its threat model, and SIZE, the argument that says how large a change is."
        )


def _settings(family: str, path: Path, known: PluginFacts) -> Iterator[str]:
    """Check that each argument's default and type can be read from the file."""
    own: Any = known.get("SETTINGS", {})
    named = {k: argument for k, argument in known.arguments.items() if k not in HANDED[family]}
    if not isinstance(own, dict) or not set(own) <= set(named):
        yield (
            f"SETTINGS in {path} is {own!r:.80}; allowed is a mapping from arguments of the "
            f"function ({', '.join(named)}) to JSON schemas."
        )
        return
    for name, schema in own.items():
        if not _refines(schema):
            yield f"SETTINGS['{name}'] in {path} is {schema!r:.80}; allowed is {REFINES}."
    for name, argument in named.items():
        plain = argument.default if argument.default is not REQUIRED else None
        if argument.default is COMPUTED or not is_plain(_as_list(plain)):
            yield (
                f"The default of '{name}' in {path} is no literal of JSON's types; allowed are "
                "finite numbers, texts, True, False, None, and lists and dicts of these."
            )
        elif argument.default is REQUIRED and not argument.annotation and name not in own:
            yield f"The argument '{name}' in {path} has no type; give an annotation, or SETTINGS."


def _refines(schema: Any) -> bool:
    """Tell whether a schema of a plug-in can stand in the schema of all settings."""
    if not isinstance(schema, dict) or {"$ref", "allOf"} & set(schema):
        return False
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError:
        return False
    return True


def _as_list(value: Any) -> Any:
    return [*value] if isinstance(value, tuple) else value
