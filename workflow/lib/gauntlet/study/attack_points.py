"""An attack's settings, ready for its function: fractions read, steps filled in, one set per eps.

Standard library only.
"""

from typing import Any

from gauntlet.core.plugin_facts import facts
from gauntlet.study.formula import value_of

STEP_RULE = "2.5 * eps / steps if steps else eps"  # where an attack names no rule of its own
SCHEDULING = ("loss_draws",)  # an attack's settings that are no argument of its function


def length(value: float | str) -> float:
    """Read a length in image units: a number, or a fraction such as '8/255'."""
    if isinstance(value, str):
        above, below = value.split("/")
        return float(above) / float(below)
    return float(value)


def attack_points(settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Give an attack's settings, ready for its function, once for each eps of its curve.

    Lengths are floats; an absent `step` follows the rule in the attack's own file.
    """
    ready = {key: value for key, value in settings.items() if key not in SCHEDULING}
    if "sigma" in ready:
        ready["sigma"] = length(ready["sigma"])
    if "eps" not in ready:
        return [ready]
    curve = ready["eps"] if isinstance(ready["eps"], list) else [ready["eps"]]
    points = [{**ready, "eps": length(value)} for value in curve]
    return [
        point | ({"step": _step(ready, point["eps"])} if "step" in ready else {})
        for point in points
    ]


def _step(settings: dict[str, Any], eps: float) -> float:
    if settings["step"] is not None:
        return length(settings["step"])
    rule = facts("attacks", settings["kind"]).get("DEFAULT_STEP", STEP_RULE)
    return float(value_of(rule, {"steps": 0} | settings | {"eps": eps}))
