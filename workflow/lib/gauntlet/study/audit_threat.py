"""The norm and eps of an audit: those of the attacks of its study. Standard library only."""

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

from gauntlet.study.attack_points import attack_points, length

NORMS = ("linf", "l2")  # in which an audit's own attacks work
Threat = tuple[str, float]


def audit_threat(config: dict[str, Any], study: str, defense: str) -> Threat:
    """Give the norm and eps at which a study's models are audited.

    That is what `audit` names; else, of the study's attacks with a single eps, the norm that most
    of them have (the first of several) and its largest eps; else the same of the points of its
    curves; else norm and eps of the training's validation attack.
    """
    named = _named(config)
    if named is not None:
        return named
    attacked = _attacked(config, study)
    fixed = [points for points in attacked if len(points) == 1]
    for found in (fixed, attacked):
        if found:
            norms = Counter(norm for points in found for norm in {norm for norm, _ in points})
            norm = norms.most_common(1)[0][0]
            return norm, max(eps for points in found for own, eps in points if own == norm)
    inherited = config["training"]["validation_attack"]
    chosen = config["defenses"].get(defense, {}).get("validation_attack", inherited)
    (point,) = attack_points(config["attacks"][chosen])
    return point["norm"], point["eps"]


def threat_warnings(config: dict[str, Any], studies: list[str]) -> Iterator[str]:
    """Say of each audited study that `audit` names a norm and eps that none of its attacks has."""
    named = _named(config)
    for study in studies if named else ():
        points = [point for attack in _attacked(config, study) for point in attack]
        if (
            config["studies"][study]["audit"]
            and points
            and not any(_same(named, p) for p in points)
        ):
            shown = ", ".join(f"{norm} {eps:g}" for norm, eps in dict.fromkeys(points))
            yield (
                f"audit.norm and audit.eps are {named[0]} {named[1]:g}, but the study '{study}' "
                f"attacks at {shown}; leave them out to audit it there."
            )


def _named(config: dict[str, Any]) -> Threat | None:
    settings = config["audit"]
    if settings["norm"] is None or settings["eps"] is None:
        return None
    return settings["norm"], length(settings["eps"])


def _attacked(config: dict[str, Any], study: str) -> list[list[Threat]]:
    """Give the norm and eps of every point of a study's attacks, for attacks that have both."""
    found = []
    for name in config["studies"][study]["attacks"]:
        points = attack_points(config["attacks"][name])
        found.append(
            [(p["norm"], p["eps"]) for p in points if p.get("norm") in NORMS and "eps" in p]
        )
    return [[point for point in points if point[1]] for points in found if points]


def _same(one: Threat, other: Threat) -> bool:
    return one[0] == other[0] and math.isclose(one[1], other[1], rel_tol=1e-6)
