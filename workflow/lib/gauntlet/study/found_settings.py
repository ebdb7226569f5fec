"""A training's specification with settings that a search has tried or found. Standard library only.

A job reads them from a file: they are not known when jobs are planned.
"""

from collections.abc import Mapping
from typing import Any

from gauntlet.study.attack_points import attack_points, length

LENGTHS = ("eps", "sigma")
ATTACK = "attack"  # the setting that names the attack inside a defense
INNER = f"{ATTACK}."  # how the settings of that attack begin


def with_settings(spec: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Give a training's specification with other settings of its defense, training or attack.

    `spec["search"]` has, if the attack can change, `attacks` ({name, attack: its settings}) and
    `inner`, the name of the start's.
    """
    training, defense = dict(spec["training"]), dict(spec["defense"])
    for key, value in settings.items():
        if key.partition(".")[0] == ATTACK:
            continue
        if key in training:
            training[key] = value
        else:
            defense[key] = length(value) if key in LENGTHS else value
    if "attacks" in spec["search"]:
        (defense[ATTACK],) = attack_points(_attack(spec["search"], settings))
    return {**spec, "training": training, "defense": defense}


def _attack(search: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    known = {one["name"]: one["attack"] for one in search["attacks"]}
    own = {
        key.removeprefix(INNER): value for key, value in settings.items() if key.startswith(INNER)
    }
    return {**known[settings.get(ATTACK, search["inner"])], **own}
