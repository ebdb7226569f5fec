"""Read a configuration: resolve names, read fractions, find contradictions.

Standard library only; every function takes a configuration that `schema.complete` has filled.
"""

from collections.abc import Iterator
from difflib import get_close_matches
from itertools import pairwise
from typing import Any, NamedTuple

from gauntlet.core.plugin_facts import facts
from gauntlet.core.plugins import available
from gauntlet.study.attack_points import attack_points
from gauntlet.study.split_settings import split_problems

ROUNDING = 1e-9  # relative: steps that add up to eps but for rounding do reach it


class Reference(NamedTuple):
    """A value that names something defined elsewhere, and the schema's rule for it."""

    path: tuple[str | int, ...]
    name: str
    rule: dict[str, Any]


def dotted(path: tuple[str | int, ...]) -> str:
    """Write a path as in `studies.mine.attacks[0]`; the root is "the configuration"."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{_word(part)}" for part in path)
    return text.removeprefix(".") or "the configuration"


def _word(key: str) -> str:
    """Write a key so that it stays on its line and within reason, whatever it is."""
    return key if key.isprintable() and len(key) <= 80 else f"{key[:60]!r}..."


def choices(word: object, known: list[str]) -> str:
    """Say which words are allowed, and which of them is nearest to a wrong one."""
    near = get_close_matches(str(word), known, 1)
    shown = ", ".join(known[:24]) + (f" and {len(known) - 24} more" if len(known) > 24 else "")
    return shown + (f" (the nearest is '{near[0]}')" if near else "")


def contradictions(config: dict[str, Any], references: list[Reference]) -> list[str]:
    """Find what no schema can: each problem in one sentence, in the configuration's order."""
    problems = [text for reference in references for text in _reference(config, reference)]
    for name, settings in config["datasets"].items():
        problems += split_problems(name, settings)
    for name, settings in config["attacks"].items():
        problems += _attack(name, settings)
    return problems


def _reference(config: dict[str, Any], reference: Reference) -> Iterator[str]:
    path, name, rule = reference
    family, alternative = rule["to"], rule.get("or")
    known, place = list(config[family]), family
    if rule.get("within_study"):
        known, place = config[path[0]][path[1]][family], f"the study's {family}"
    if name not in known and name != alternative:
        also = f"{alternative}, or " if alternative else ""
        allowed = f"{also}one of {place}: {choices(name, known)}"
        yield f"{dotted(path)} is {name!r:.80}; allowed is {allowed}."
    elif family == "attacks" and name in config["attacks"]:
        yield from _fitness(path, name, config["attacks"][name], rule)


def _fitness(path: tuple, name: str, attack: dict[str, Any], rule: dict[str, Any]) -> Iterator[str]:
    """Say why an attack that exists cannot be used where it is named."""
    chosen = f"{dotted(path)} is '{name}'"
    if not _of_kind(attack["kind"], rule):
        kinds = [kind for kind in available("attacks") if _of_kind(kind, rule)]
        yield (
            f"{chosen}, whose kind is {attack['kind']}; "
            f"allowed here is an attack of kind {' or '.join(kinds)}."
        )
    if rule.get("one_eps") and isinstance(attack.get("eps"), list):
        yield f"{chosen}, a curve over eps {attack['eps']}; allowed here is a single eps."
    elif rule.get("drawn") and not attack.get("loss_draws"):
        yield (
            f"{chosen}, whose loss_draws is 0 or that has none; allowed here is an attack with "
            "loss_draws of 1 or more, since its draws are what is shown."
        )
    if rule.get("norm", attack.get("norm")) != attack.get("norm"):
        yield f"{chosen}, whose norm is {attack.get('norm')}; allowed here is {rule['norm']}."
    if rule.get("one_start") and attack.get("restarts", 1) > 1:
        yield (
            f"{chosen}, which makes {attack['restarts']} restarts; allowed in training is "
            "an attack with restarts: 1."
        )


def _of_kind(kind: str, rule: dict[str, Any]) -> bool:
    """Tell whether a kind of attack may be used where a rule of the schema applies."""
    listed = kind in rule.get("kinds", [kind])
    return listed and (not rule.get("for_training") or facts("attacks", kind).get("FOR_TRAINING"))


def _attack(name: str, settings: dict[str, Any]) -> Iterator[str]:
    if "eps" not in settings:
        return
    path = f"attacks.{name}"
    points = attack_points(settings)
    radii = [point["eps"] for point in points]
    if any(after <= before for before, after in pairwise(radii)):
        yield f"{path}.eps is {settings['eps']}; allowed is an ascending list, each eps once."
    if settings["norm"] == "linf" and max(radii) > 1:
        yield (
            f"{path}.eps is {settings['eps']}; allowed for linf is 0 to 1, since images are in "
            f"[0, 1] (8 of 255 gray levels are written '8/255')."
        )
    yield from _reach(path, settings, max(points, key=lambda point: point["eps"]))


def _reach(path: str, settings: dict[str, Any], point: dict[str, Any]) -> Iterator[str]:
    """Say so if an attack's steps cannot lead to the edge of its (largest) ball."""
    steps, eps = settings.get("steps", 1), point["eps"]
    if "step" not in point or ("steps" not in settings and settings.get("random_start")):
        return  # one short step from a random point is a published setting
    if steps * point["step"] < eps * (1 - ROUNDING):
        yield (
            f"{path}.step is {settings['step']}, and {steps} x {settings['step']} stays below "
            f"eps {eps:g}; allowed is a step of {eps / steps:g} or more, or null."
        )
