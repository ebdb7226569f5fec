"""Searches for settings, and the defenses that have what a search finds. Standard library only.

A defense with `from_search` is the search's own defense, with further settings laid over it. What
the search finds comes in as a file when the training runs.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gauntlet.study.attack_points import SCHEDULING, length
from gauntlet.study.found_settings import ATTACK, INNER
from gauntlet.study.resolve import choices

Config = Mapping[str, Any]
SEARCHED = "from_search"


def expanded(config: Any) -> Any:
    """Give a configuration whose defenses with `from_search` have their search's start.

    What is `misplaced` stays as it is.
    """
    made = {name: _start(config, own) | own for name, own in _from_searches(config)}
    return {**config, "defenses": {**config["defenses"], **made}} if made else config


def misplaced(config: Any) -> list[str]:
    """Say which defenses with `from_search` cannot be made from a search: a sentence each."""
    return [text for name, own in _from_searches(config) for text in _problems(config, name, own)]


def _mapping(value: Any) -> dict:
    return value if isinstance(value, dict) else {}


def _from_searches(config: Any) -> Iterator[tuple[str, dict]]:
    for name, own in _mapping(_mapping(config).get("defenses")).items():
        if SEARCHED in _mapping(own):
            yield name, own


def _search(config: Any, own: dict) -> dict | None:
    """Give the search of a defense as it stands in a configuration that may be wrong."""
    name, known = own[SEARCHED], _mapping(config.get("searches"))
    return _mapping(known[name]) if isinstance(name, str) and name in known else None


def _start(config: Any, own: dict) -> dict:
    start = (_search(config, own) or {}).get("defense")
    known = config["defenses"]
    return _mapping(known[start]) if isinstance(start, str) and start in known else {}


def _problems(config: Any, name: str, own: dict) -> Iterator[str]:
    path, search = f"defenses.{name}", _search(config, own)
    if search is None:
        known = [*map(str, _mapping(config.get("searches")))]
        yield (
            f"{path}.from_search is {own[SEARCHED]!r:.80}; allowed is one of searches: "
            f"{choices(own[SEARCHED], known)}."
        )
        return
    start, searched = _start(config, own), f"searches.{own[SEARCHED]}"
    if not start and "defense" in search:
        known = [str(other) for other in config["defenses"] if other != name]
        yield (
            f"{searched}.defense is {search['defense']!r:.80}; allowed is one of defenses: "
            f"{choices(search['defense'], known)}."
        )
    if SEARCHED in start:
        yield (
            f"{searched}.defense is {search['defense']!r:.80}, which comes from a search itself; "
            "allowed is a defense with a kind."
        )
    elif "kind" in own and own["kind"] != start.get("kind", own["kind"]):
        yield (
            f"{path}.kind is {own['kind']!r:.80}, but its search is of kind {start['kind']}; "
            "allowed is no kind beside from_search."
        )
    tried = {str(key).partition(".")[0] for key in _mapping(search.get("ranges"))}
    for key in (key for key in own if key in tried):
        yield (
            f"{path}.{key} is {own[key]!r:.80}, but {searched}.ranges looks for this setting; "
            "allowed beside from_search are settings that are not searched for."
        )


def trial_config(config: Config, search: str) -> dict[str, Any]:
    """Give the configuration in which a search's defense is trained as in its trials."""
    asked = config["searches"][search]
    own = {**config["defenses"][asked["defense"]], **asked["training"], "devices": 1}
    return {**config, "defenses": {**config["defenses"], asked["defense"]: own}}


def search_part(config: Config, search: str) -> dict[str, Any]:
    """Give what a training has to know of its search: see `found_settings.with_settings`."""
    asked = config["searches"][search]
    if not any(key.partition(".")[0] == ATTACK for key in asked["ranges"]):
        return {"name": search}
    inner = config["defenses"][asked["defense"]][ATTACK]
    names = [inner, *asked["ranges"].get(ATTACK, {}).get("choice", ())]
    attacks = [
        {"name": name, "attack": _without(config["attacks"][name], SCHEDULING)}
        for name in dict.fromkeys(names)
    ]
    return {"name": search, "attacks": attacks, "inner": inner}


def _without(settings: Config, keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key not in keys}


def plain_range(tried: Config) -> dict[str, Any]:
    """Give what decides of a range: its choice, or its ends and how it is spread."""
    keys = ("choice",) if "choice" in tried else ("high", "int", "log", "low")
    return {key: tried[key] for key in keys}


def start_settings(config: Config, search: str) -> dict[str, Any]:
    """Give the start's own values of what is searched for, as far as the ranges hold them."""
    asked = config["searches"][search]
    own = trial_config(config, search)["defenses"][asked["defense"]]
    known = {**config["training"], **own}
    inner = config["attacks"].get(own.get(ATTACK), {})
    found = {}
    for key, tried in asked["ranges"].items():
        value = inner.get(key.removeprefix(INNER)) if key.startswith(INNER) else known.get(key)
        value = _number(value) if "low" in tried else value
        if holds(tried, value):
            found[key] = value
    return found


def _number(value: Any) -> Any:
    """Read a fraction such as '8/255'; anything else stays."""
    return length(value) if isinstance(value, str) and "/" in value else value


def holds(tried: Config, value: Any) -> bool:
    """Tell whether a range holds a value."""
    if "choice" in tried:
        return any(type(value) is type(one) and value == one for one in tried["choice"])
    whole = isinstance(value, int) or (isinstance(value, float) and not tried["int"])
    return whole and not isinstance(value, bool) and tried["low"] <= value <= tried["high"]
