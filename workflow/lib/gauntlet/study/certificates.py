"""Certificates of a configuration: settings resolved, images left out of attacks, contradictions.

Standard library only; every function takes a configuration that `schema.complete` has filled.
"""

import math
from collections.abc import Iterator
from itertools import pairwise
from statistics import NormalDist
from typing import Any

from gauntlet.core.plugin_facts import facts
from gauntlet.study.attack_points import length

LENGTHS = ("sigma", "ceiling")
PART = "test"  # the part of the data that is certified


def certificate_points(settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Give a certificate's settings, ready for its function, once for each eps.

    Lengths are floats. The search for the largest radius is made once, at the largest eps.
    """
    ready = {name: value for name, value in settings.items() if name != "eps"}
    for name in LENGTHS:
        if ready.get(name) is not None:
            ready[name] = length(ready[name])
    radii = _radii(settings)
    points = [ready | {"eps": eps} for eps in radii]
    if "radius" in ready:
        points = [point | {"radius": False} for point in points[:-1]] + points[-1:]
    return points


def is_deterministic(settings: dict[str, Any]) -> bool:
    """Tell whether a certificate holds for the model itself."""
    return bool(facts("certify", settings["kind"]).get("DETERMINISTIC"))


def described(config: dict[str, Any], name: str) -> dict[str, Any]:
    """Give what tables show of a certificate: name, kind and confidence (1 for a proof)."""
    settings = config["certificates"][name]
    return {"name": name, "kind": settings["kind"], "confidence": 1 - settings.get("alpha", 0)}


def sparing(
    config: dict[str, Any],
    dataset: str,
    model: str,
    defense: str,
    seed: int,
    attack: str,
    part: str = PART,
) -> list[str]:
    """Name the certificates whose images an attack need not attack, in the definitions' order.

    They are deterministic, have the attack's norm, and belong to a study with this run and attack;
    a study with both that sets `spare_certified: false` keeps every image attacked.
    """
    settings = config["attacks"][attack]
    every = _with(config, dataset, model, defense, seed)
    studies = [lists for lists in every if attack in lists["attacks"]]
    if part != PART or "norm" not in settings or "eps" not in settings:
        return []
    if not all(lists["spare_certified"] for lists in studies):
        return []
    wanted = {name for lists in studies for name in lists["certificates"]}
    return [
        name
        for name, certificate in config["certificates"].items()
        if name in wanted
        and is_deterministic(certificate)
        and certificate["norm"] == settings["norm"]
        and _reach(certificate) >= _radii(settings)[0]
    ]


def sample(config: dict[str, Any], dataset, model, defense, seed: int, names: list[str]) -> int:
    """Count the images to attack although one of these certificates covers them."""
    studies = _with(config, dataset, model, defense, seed)
    return max(
        lists["spare_sample"] for lists in studies if set(names) & set(lists["certificates"])
    )


def _with(config: dict[str, Any], dataset, model, defense, seed: int) -> list[dict[str, Any]]:
    """List the studies of which a run is part."""
    return [
        lists
        for lists in config["studies"].values()
        if seed in lists["seeds"]
        and defense in lists["defenses"]
        and model in lists["models"]
        and dataset in lists["datasets"]
    ]


def contradictions(config: dict[str, Any]) -> list[str]:
    """Find what no schema can, one sentence each."""
    problems = []
    for name, settings in config["certificates"].items():
        problems += _eps(f"certificates.{name}", settings)
        problems += _smoothing(f"certificates.{name}", settings) if "alpha" in settings else []
    for name, study in config["studies"].items():
        problems += _too_short(config, name, study)
    return problems


def _radii(settings: dict[str, Any]) -> list[float]:
    eps = settings["eps"]
    return [length(value) for value in (eps if isinstance(eps, list) else [eps])]


def _reach(settings: dict[str, Any]) -> float:
    """Give the largest radius that a certificate can prove."""
    largest = _radii(settings)[-1]
    if not settings.get("radius"):
        return largest if is_deterministic(settings) else math.inf
    ceiling = settings.get("ceiling")
    return 2 * largest if ceiling is None else max(largest, length(ceiling))


def _eps(path: str, settings: dict[str, Any]) -> Iterator[str]:
    radii = _radii(settings)
    if radii[0] <= 0 or any(after <= before for before, after in pairwise(radii)):
        yield f"{path}.eps is {settings['eps']}; allowed is a number above 0, or an ascending list."
    elif settings["norm"] == "linf" and radii[-1] > 1:
        yield (
            f"{path}.eps is {settings['eps']}; allowed for linf is up to 1, since images are in "
            f"[0, 1] (8 of 255 gray levels are written '8/255')."
        )
    ceiling = settings.get("ceiling")
    if ceiling is not None and length(ceiling) < radii[-1]:
        yield f"{path}.ceiling is {ceiling}; allowed is eps ({radii[-1]:g}) or more, or null."


def _smoothing(path: str, settings: dict[str, Any]) -> Iterator[str]:
    """Say if even a unanimous vote proves nothing, or less than the smallest eps."""
    n, alpha, sigma = settings["n"], settings["alpha"], length(settings["sigma"])
    sure = alpha ** (1 / n)  # lower bound of the probability after n hits in n draws
    if sure <= 0.5:
        fewest = math.floor(math.log(alpha) / math.log(0.5)) + 1
        yield f"{path}.n is {n}, too few for alpha {alpha}; allowed are {fewest} draws or more."
    elif (most := sigma * NormalDist().inv_cdf(sure)) < (least := _radii(settings)[0]):
        yield (
            f"{path}.eps is {settings['eps']}, and sigma {sigma:g} with n {n} and alpha {alpha} "
            f"proves at most {most:.3g}; allowed is an eps up to that, or more noise or draws "
            f"({least / most:.2g} times the sigma)."
        )


def _too_short(config: dict[str, Any], study: str, lists: dict[str, Any]) -> Iterator[str]:
    """Name certificates of a study that end before every attack of their norm begins."""
    for place, name in enumerate(lists["certificates"]):
        settings = config["certificates"].get(name)
        if settings is None or not is_deterministic(settings):
            continue
        same = [config["attacks"].get(attack, {}) for attack in lists["attacks"]]
        starts = [_radii(a)[0] for a in same if a.get("norm") == settings["norm"] and "eps" in a]
        if starts and _reach(settings) < min(starts):
            yield (
                f"studies.{study}.certificates[{place}] is '{name}', which proves up to "
                f"{settings['norm']} {_reach(settings):g}, and every {settings['norm']} attack of "
                f"the study has a larger eps; allowed is a certificate "
                f"that proves {min(starts):g} or more."
            )
