"""Steps before a model: settings resolved, specifications of their jobs, contradictions.

Standard library only; every function takes a configuration that `schema.complete` has filled. See
`specs` for what a specification is.
"""

from collections.abc import Iterator
from typing import Any

from gauntlet.core.errors import GauntletError
from gauntlet.core.plugin_facts import facts
from gauntlet.study.attack_points import attack_points
from gauntlet.study.specs import Run, Spec, job_spec, ordered, runs

FAMILY = "preprocess"
KIND = "adaptive"  # the attack that goes through a step
PART = "test"
ASIDE = ("adaptive", "attack")  # settings of a step that are no argument of its function
EXAMPLES = "examples"  # what a step is fitted on, if on more than clean images
NAMES = (*Run._fields, "preprocess")


def fact(config: Spec, preprocess: str, name: str) -> Any:
    """Give a constant of the file of a step; None where it has none."""
    return facts(FAMILY, config["preprocess"][preprocess]["kind"]).get(name)


def step_settings(config: Spec, preprocess: str) -> Spec:
    """Give the settings for `preprocess.make_step`."""
    settings = config["preprocess"][preprocess]
    return {key: value for key, value in settings.items() if key not in ASIDE}


def crafted_attack(config: Spec, preprocess: str) -> str | None:
    """Name the attack whose examples a step is fitted on; None if it needs none."""
    if fact(config, preprocess, "FITTED") != EXAMPLES:
        return None
    return config["preprocess"][preprocess]["attack"]


def shown_attacks(config: Spec, study: str) -> list[str]:
    """Name the attacks of a study whose examples are shown to its steps: those with a ball."""
    norms = facts("attacks", KIND).get("NORMS")
    attacks = {
        name: config["attacks"].get(name, {}) for name in config["studies"][study]["attacks"]
    }
    return [name for name, own in attacks.items() if own.get("norm") in norms and "eps" in own]


def threats(config: Spec, study: str) -> list[tuple[str, float]]:
    """List the (norm, eps) at which steps are attacked, in ascending order.

    They are those of the shown attacks with a single eps; without one, all points of the curves.
    """
    curves = [attack_points(config["attacks"][name]) for name in shown_attacks(config, study)]
    single = [points for points in curves if len(points) == 1]
    found = {(point["norm"], point["eps"]) for points in single or curves for point in points}
    return sorted(found)


def fit_spec(
    config: Spec, dataset: str, model: str, defense: str, seed: int | str, preprocess: str
) -> Spec:
    """Say how a step is fitted to a model; adversarial examples and weights are inputs.

    Raises GauntletError for a step that is not fitted.
    """
    if not fact(config, preprocess, "FITTED"):
        raise GauntletError(
            f"A target asks to fit the step '{preprocess}', whose kind "
            f"{config['preprocess'][preprocess]['kind']} learns nothing; allowed are steps that do."
        )
    own = {"preprocess": step_settings(config, preprocess)}
    return ordered(job_spec(config, model, seed) | own)


def naive_spec(config: Spec, study: str, *, preprocess: str, model: str, seed, **run) -> Spec:
    """Say which examples, made against the model alone, are shown to it behind a step.

    `attacks` is a list of {name, points, drawn}; `drawn` says whether examples of full strength are
    shown too.
    """
    shown = []
    for name in shown_attacks(config, study):
        settings = config["attacks"][name]
        points = [{key: p[key] for key in ("norm", "eps")} for p in attack_points(settings)]
        drawn = settings.get("loss_draws", 0) > 0
        shown.append({"name": name, "points": points, "drawn": drawn})
    own = _judged(config, preprocess) | {"attacks": shown}
    return ordered(job_spec(config, model, seed) | own)


def adaptive_spec(config: Spec, study: str, *, preprocess: str, model: str, seed, **run) -> Spec:
    """Say how a model is attacked through a step: `points`, the attack's settings per threat."""
    chosen = adaptive_settings(config, preprocess)
    attack = {key: chosen[key] for key in ("steps", "restarts", "queries", "samples")}
    attack["kind"] = KIND
    attack["straight_through"] = fact(config, preprocess, "GRADIENT") == "straight_through"
    if not fact(config, preprocess, "RANDOM"):
        attack["samples"] = 1
    points = [attack | {"norm": norm, "eps": eps} for norm, eps in threats(config, study)]
    own = _judged(config, preprocess) | {"points": points}
    return ordered(job_spec(config, model, seed) | own)


def adaptive_settings(config: Spec, preprocess: str) -> Spec:
    """Give the settings of `adaptive`, with what a step changes of them."""
    return config["adaptive"] | config["preprocess"][preprocess].get("adaptive", {})


def _judged(config: Spec, preprocess: str) -> Spec:
    draws = adaptive_settings(config, preprocess)["draws"]
    return {
        "draws": draws if fact(config, preprocess, "RANDOM") else 1,
        "part": PART,
        "preprocess": step_settings(config, preprocess),
    }


def table_spec(config: Spec, study: str) -> Spec:
    """Say what the table of steps shows: `rows`, the names of each step before each model."""
    rows = [run | {"preprocess": name} for run, name in stepped_runs(config, study)]
    return ordered({"rows": rows, "study": study, "threats": threats(config, study)})


def stepped_runs(config: Spec, study: str) -> Iterator[tuple[Spec, str]]:
    """Give (names of a run, name of a step) for each step before each model of a study."""
    for run in runs(config, study):
        for name in config["studies"][study]["preprocess"]:
            yield run._asdict(), name


def contradictions(config: Spec) -> Iterator[str]:
    """Say what no schema can of steps: each problem in one sentence."""
    for name in config["preprocess"]:
        yield from _averaged(config, name)
    for study, lists in config["studies"].items():
        if lists["preprocess"]:
            yield from _study(config, study, lists)


def _averaged(config: Spec, name: str) -> Iterator[str]:
    samples = adaptive_settings(config, name)["samples"]
    if fact(config, name, "RANDOM") and samples < 2:
        kind = config["preprocess"][name]["kind"]
        yield (
            f"preprocess.{name} is {kind}, which answers differently each time, and the samples of "
            f"its adaptive attack are {samples}; allowed are 2 or more (adaptive.samples)."
        )


def _study(config: Spec, study: str, lists: Spec) -> Iterator[str]:
    path = f"studies.{study}"
    if not shown_attacks(config, study):
        norms = " or ".join(facts("attacks", KIND).get("NORMS"))
        yield (
            f"{path}.preprocess names '{lists['preprocess'][0]}', but none of the study's attacks "
            f"has norm {norms} and an eps; allowed is a study with such an attack."
        )
    for name in lists["models"]:
        if not config["models"].get(name, {}).get("gradients", True):
            yield (
                f"{path}.preprocess names '{lists['preprocess'][0]}', which is attacked by "
                f"gradients, but models.{name}.gradients is false; allowed are models with "
                "gradients."
            )
