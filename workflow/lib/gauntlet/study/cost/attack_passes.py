"""Forward and backward passes that an attack takes for one image that is never misclassified.

The formulas are constants in the attacks' own files. Standard library only.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from gauntlet.core.plugin_facts import facts
from gauntlet.study.formula import value_of

Settings = Mapping[str, Any]
ONCE = {"restarts": 1, "draws": 1, "steps": 1}  # what an attack without these settings does
FORWARDS, BACKWARDS = "restarts * (steps + 1)", "restarts * steps"  # where a file names none


class Passes(NamedTuple):
    """Passes of one image."""

    forwards: float = 0.0
    backwards: float = 0.0

    def __add__(self, other: "Passes") -> "Passes":  # type: ignore[override]
        return Passes(self.forwards + other.forwards, self.backwards + other.backwards)

    def times(self, count: float) -> "Passes":
        """Multiply the passes."""
        return Passes(self.forwards * count, self.backwards * count)


def attack_passes(point: Settings, pixels: int, classes: int) -> Passes:
    """Count the passes of an attack with these settings on an image of so many values."""
    known = facts("attacks", point["kind"])
    names = {**ONCE, **known.names, **point, "pixels": pixels, "classes": classes}
    backwards = known.get("BACKWARDS", 0 if known.get("GRADIENT_FREE") else BACKWARDS)
    found = known.get("FORWARDS", FORWARDS), backwards
    return Passes(*(value_of(str(formula), names) for formula in found))


def draw_passes(point: Settings, pixels: int, classes: int) -> Passes:
    """Count the passes of one random example of full strength, and one more for its loss."""
    known, once = facts("attacks", point["kind"]), {k: v for k, v in ONCE.items() if k != "steps"}
    single = {**point, **{key: 1 for key in once if key in point}}
    found = attack_passes(single, pixels, classes)
    if "DRAW_FORWARDS" not in known.constants:
        return found
    names = {**ONCE, **known.names, **single, "pixels": pixels, "classes": classes}
    return Passes(value_of(known.get("DRAW_FORWARDS"), names) + 1, found.backwards)
