"""Forward and backward passes that an attack takes for one image that never falls.

Counted from the attack's resolved settings (one point of `config.attack_points`). Standard library
only. An image that falls early takes fewer.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Settings = Mapping[str, Any]
HALVINGS = 10  # of the search at the end of fab_t and deepfool
JUMPS = 24  # hopskipjump: most halvings of a search or a jump
USUAL_JUMPS, PRECISION = 2, 1e-3
EXPONENTS = {"l2": 1.5, "linf": 2.0}
CORRUPTIONS = 15
SAMPLES = 20  # of autoattack's version rand
TYPICAL_STEPS = 4  # deepfool: until most images have fallen


class Passes(NamedTuple):
    """Passes of one image."""

    forwards: float = 0.0
    backwards: float = 0.0

    def __add__(self, other: "Passes") -> "Passes":  # type: ignore[override]
        return Passes(self.forwards + other.forwards, self.backwards + other.backwards)

    def times(self, count: float) -> "Passes":
        """Give so many of them."""
        return Passes(self.forwards * count, self.backwards * count)


def attack_passes(point: Settings, pixels: int, classes: int) -> Passes:
    """Count the passes of an attack with these settings on an image of so many values."""
    return ATTACKS[point["kind"]](point, pixels, classes)


def draw_passes(point: Settings, pixels: int, classes: int) -> Passes:
    """Count the passes of one random example of full strength, its loss included."""
    once = dict(point) | {key: 1 for key in ("restarts", "draws") if key in point}
    found = attack_passes(once, pixels, classes)
    judged = 0 if point["kind"] == "apgd" else 1  # what a hunt asks at the end, a draw does not
    return Passes(found.forwards - judged + 1, found.backwards)


def climb(steps: int) -> Passes:
    """Count a climb of so many steps, and the judgement of its end."""
    return Passes(steps + 1, steps)


def _pgd(point: Settings, pixels: int, classes: int) -> Passes:
    return climb(point.get("steps", 1)).times(point.get("restarts", 1))


def _targeted(point: Settings, pixels: int, classes: int) -> Passes:
    runs = point["restarts"] * min(point["targets"], classes - 1)
    return Passes(1) + climb(point["steps"]).times(runs)


def _fab_t(point: Settings, pixels: int, classes: int) -> Passes:
    runs = point["restarts"] * min(point["targets"], classes - 1)
    run = Passes(2 * point["steps"] + HALVINGS, point["steps"])
    return Passes(1) + run.times(runs)


def _ddn(point: Settings, pixels: int, classes: int) -> Passes:
    return Passes(1) + climb(point["steps"])


def _cw(point: Settings, pixels: int, classes: int) -> Passes:
    steps = point["steps"] * point["search_steps"]
    return Passes(1 + steps, 1 + steps)


def _deepfool(point: Settings, pixels: int, classes: int) -> Passes:
    steps, aims = min(point["steps"], TYPICAL_STEPS), min(point["candidates"], classes - 1)
    return Passes(1 + steps * (aims + 1) + HALVINGS, steps * aims)


def _square(point: Settings, pixels: int, classes: int) -> Passes:
    return Passes(point["queries"] * point["restarts"])


def _spsa(point: Settings, pixels: int, classes: int) -> Passes:
    return Passes(point["steps"] * (point["samples"] + 1) + 1)


def _hopskipjump(point: Settings, pixels: int, classes: int) -> Passes:
    precision = min(PRECISION, pixels ** -EXPONENTS[point["norm"]])
    search = min(math.ceil(-math.log2(precision)), JUMPS)
    votes = sum(
        min(int(point["init_evals"] * math.sqrt(step)), point["max_evals"])
        for step in range(1, point["steps"] + 1)
    )
    return Passes(2 + search + votes + point["steps"] * (search + USUAL_JUMPS))


def _spatial(point: Settings, pixels: int, classes: int) -> Passes:
    return Passes(math.prod(count // 2 * 2 + 1 for count in point["grid"]))


def _corruptions(point: Settings, pixels: int, classes: int) -> Passes:
    return Passes(len(point["names"] or ()) or CORRUPTIONS)


def _noise(point: Settings, pixels: int, classes: int) -> Passes:
    return Passes(point["draws"])


def _autoattack(point: Settings, pixels: int, classes: int) -> Passes:
    if point["version"] == "rand":
        return climb(100).times(2 * SAMPLES)
    aims = {"steps": 100, "restarts": 1, "targets": 9}
    members = (climb(100), _targeted(aims, pixels, classes), _fab_t(aims, pixels, classes))
    return sum((*members, Passes(5000)), Passes())


def _gauntlet(point: Settings, pixels: int, classes: int) -> Passes:
    aims = {"steps": 200, "restarts": 1, "targets": 3}
    members = (climb(10), climb(100), _targeted(aims, pixels, classes), Passes(point["queries"]))
    return sum(members, Passes())


def _adaptive(point: Settings, pixels: int, classes: int) -> Passes:
    starts, samples = point.get("restarts", 2), point.get("samples", 1)
    steps = point.get("steps", 100)
    if samples > 1:
        return climb(steps + 1).times(2 * starts * samples)
    aims = {"steps": steps, "restarts": starts, "targets": 3}
    members = (climb(steps).times(2 * starts), _targeted(aims, pixels, classes))
    return sum((*members, Passes(point.get("queries", 2000))), Passes())


Counter = Callable[[Settings, int, int], Passes]
ATTACKS: dict[str, Counter] = {
    "adaptive": _adaptive,
    "apgd": _pgd,
    "apgd_t": _targeted,
    "autoattack": _autoattack,
    "corruptions": _corruptions,
    "cw": _cw,
    "ddn": _ddn,
    "deepfool": _deepfool,
    "fab_t": _fab_t,
    "fgsm": _pgd,
    "fmn": _pgd,
    "gauntlet": _gauntlet,
    "gaussian_noise": _noise,
    "hopskipjump": _hopskipjump,
    "mifgsm": _pgd,
    "pgd": _pgd,
    "spatial": _spatial,
    "spsa": _spsa,
    "square": _square,
}
