"""What contradicts itself in the searches of a configuration, and what no trial could try.

Standard library only; every function takes a configuration that `schema.complete` has filled. A
range is held against the schema of its setting, and its ends against all other checks.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from gauntlet.core.plugin_facts import facts
from gauntlet.study import defenses, resolve
from gauntlet.study.found_settings import ATTACK, INNER
from gauntlet.study.matrix import is_external
from gauntlet.study.resolve import Reference, choices
from gauntlet.study.schema_layers import layers, target
from gauntlet.study.schema_sentences import complaints
from gauntlet.study.searches import trial_config

Schema = dict[str, Any]
Config = dict[str, Any]
# What names other jobs, judges trials, or is decided before any of them is trained.
FIXED = ("kind", "devices", "extra", "from_search", "init", "selection", "validation_attack")
FIXED += ("awp", "precision", "source", "sources", "teacher")
FIXED_INSIDE = ("kind", "loss_draws")


class Setting(NamedTuple):
    """A range of a search: where it stands, its setting, and the schema of that.

    `rule` is the schema's rule for the name that it gives, or that its attack has; None without.
    """

    path: tuple[str, ...]
    key: str
    tried: dict[str, Any]
    schema: Schema
    rule: dict[str, Any] | None


class End(NamedTuple):
    """One value that a trial may try of a setting, and where it is written."""

    setting: Setting
    place: tuple[str | int, ...]
    value: Any


def mark_whole_numbers(config: Config, root: Schema) -> None:
    """Set `int` in every range of a setting that is a whole number."""
    for name in config["searches"]:
        for setting in _known(config, name, root):
            setting.tried["int"] = setting.tried["int"] or _is_whole(setting.schema)


def contradictions(config: Config, root: Schema) -> list[str]:
    """Say what is wrong with the searches of a configuration, each problem in one sentence."""
    return [text for name in config["searches"] for text in _search(config, name, root)]


def _search(config: Config, name: str, root: Schema) -> Iterator[str]:
    asked, path = config["searches"][name], f"searches.{name}"
    if is_external(config["models"][asked["model"]]):
        yield (
            f"{path}.model is '{asked['model']}', which comes with its weights and is not trained; "
            "allowed is a model without weights."
        )
    if not any(asked["goal"].values()):
        yield f"{path}.goal has no weight above 0; allowed are weights of which one is above 0."
    for key in (key for key in asked["training"] if key in asked["ranges"]):
        yield (
            f"{path}.training.{key} is {asked['training'][key]!r:.80}, but ranges looks for this "
            "setting; allowed in training are others."
        )
    schemas = _schemas(config, name, root)
    for key in (key for key in asked["ranges"] if key not in schemas):
        allowed = choices(key, [*schemas])
        yield f"{path}.ranges.{key} is no setting to search; allowed are {allowed}."
    wrong = [text for setting in _known(config, name, root) for text in _range(setting, root)]
    yield from wrong or dict.fromkeys(_ends(config, name, root))


def _schemas(config: Config, name: str, root: Schema) -> dict[str, Schema]:
    """Give the schemas of all settings that a search can try, by key."""
    start = trial_config(config, name)["defenses"][config["searches"][name]["defense"]]
    found = _properties(start, "defense", root, FIXED)
    if "crafted" in facts(defenses.FAMILY, start["kind"]).arguments:
        found.pop(ATTACK, None)
    if ATTACK in found:
        inner = config["attacks"][start[ATTACK]]
        own = _properties(inner, "attack", root, FIXED_INSIDE)
        found |= {f"{INNER}{key}": schema for key, schema in own.items()}
    return dict(sorted(found.items()))


def _properties(settings: Config, family: str, root: Schema, fixed: tuple) -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    for layer in layers(settings, root["$defs"][family], root):
        for key, part in layer.get("properties", {}).items():
            if key not in fixed:
                found[key] = {**target(part, root), **part}
    return found


def _known(config: Config, name: str, root: Schema) -> Iterator[Setting]:
    schemas = _schemas(config, name, root)
    for key, tried in config["searches"][name]["ranges"].items():
        if key in schemas:
            named = schemas[ATTACK if key.startswith(INNER) else key]
            place = ("searches", name, "ranges", key)
            yield Setting(place, key, tried, schemas[key], named.get("x-refers"))


def _is_whole(schema: Schema) -> bool:
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return "integer" in kinds and "number" not in kinds


def _range(setting: Setting, root: Schema) -> Iterator[str]:
    """Say what is wrong with a range by itself, or by the schema of its setting."""
    tried, path = setting.tried, resolve.dotted(setting.path)
    ends = [key for key in ("low", "high") if key in tried]
    if ("choice" in tried) == bool(ends) or len(ends) == 1:
        yield f"{path} has {_listed(tried)}; allowed is low with high, or choice."
        return
    found = [text for end in _values(setting) for text in _fits(end, root)]
    yield from found
    if found or "choice" in tried:
        if "choice" in tried and tried["log"]:
            yield f"{path}.log is true beside choice; allowed is log with low and high."
        return
    if tried["low"] >= tried["high"]:
        yield (
            f"{path}.low is {tried['low']:g} and high is {tried['high']:g}; allowed is a low below "
            "high."
        )
    if tried["log"] and tried["low"] <= 0:
        yield f"{path}.low is {tried['low']:g} with log; allowed is a low above 0."


def _listed(tried: Config) -> str:
    return " and ".join(key for key in ("low", "high", "choice") if key in tried) or "no values"


def _values(setting: Setting) -> Iterator[End]:
    """Give the values of a choice, or the ends of a range."""
    for number, value in enumerate(setting.tried.get("choice", ())):
        yield End(setting, ("choice", number), value)
    for key in (key for key in ("low", "high") if key in setting.tried):
        yield End(setting, (key,), setting.tried[key])


def _fits(end: End, root: Schema) -> Iterator[str]:
    """Hold a value against the schema of its setting."""
    place = (*end.setting.path, *end.place)
    found = complaints(end.value, end.setting.schema, root, place)
    yield from found
    numbers = end.place[0] != "choice" and end.setting.tried["int"]
    if numbers and type(end.value) is not int and not found:
        yield f"{resolve.dotted(place)} is {end.value:g} with int; allowed is a whole number."


def _ends(config: Config, name: str, root: Schema) -> Iterator[str]:
    """Hold values against all other checks: each with the start's others, all lows, all highs."""
    start, settings = trial_config(config, name), list(_known(config, name, root))
    before = set(_checks(start, []))
    values = [[*_values(setting)] for setting in settings]
    corners = [[ends[place] for ends in values] for place in (0, -1)]
    for ends in [*([end] for some in values for end in some), *corners]:
        tried, references = start, []
        for end in ends:
            tried, named = _with(tried, name, end)
            references += named
        for text in _checks(tried, references):
            if text not in before:
                before.add(text)
                yield text if text.startswith("searches.") else f"{_where(name, ends)}: {text}"


def _where(name: str, ends: list[End]) -> str:
    tried = ", ".join(f"{end.setting.key} {_said(end)}" for end in ends)
    return f"searches.{name}.ranges leads to {tried}"


def _said(end: End) -> str:
    return f"{end.value:g}" if type(end.value) in (int, float) else repr(end.value)


def _checks(config: Config, references: list[Reference]) -> list[str]:
    return [*resolve.contradictions(config, references), *defenses.contradictions(config)]


def _with(config: Config, name: str, end: End) -> tuple[Config, list[Reference]]:
    """Give a configuration in which a search's defense has a value, and the names that it uses."""
    key, rule = end.setting.key, end.setting.rule
    defense = config["searches"][name]["defense"]
    start = config["defenses"][defense]
    place = (*end.setting.path, *end.place)
    if not key.startswith(INNER):
        made = {**config["defenses"], defense: {**start, key: end.value}}
        references = [Reference(place, end.value, rule)] if rule else []
        return {**config, "defenses": made}, references
    inner = key.removeprefix(INNER)
    called = f"{start[ATTACK]} with {inner} {_said(end)}"
    attack = {**config["attacks"][start[ATTACK]], inner: end.value}
    made = {**config["defenses"], defense: {**start, ATTACK: called}}
    changed = {**config, "attacks": {**config["attacks"], called: attack}, "defenses": made}
    return changed, [Reference(place, called, rule or {"to": "attacks"})]
