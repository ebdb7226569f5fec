"""Audits and gates: their specifications, and contradictions in their settings.

Standard library only; see `specs` for what a specification is.
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from gauntlet.core.plugin_facts import facts
from gauntlet.core.plugins import available
from gauntlet.study.attack_points import attack_points, length
from gauntlet.study.audit_threat import audit_threat
from gauntlet.study.specs import Run, Spec, job_spec, ordered, runs, transfer_sets

RERUN = "rerun"  # the name of the rerun among a study's attacks
RERUN_KIND = "adaptive"  # the kind of attack whose norms are its own
LAST = 1000  # order of a check that names none
PATTERNS = ("dataset", "model", "defense")
MINIMA = ("clean", "robust", "certified")


def known_checks() -> list[str]:
    """Name all checks, in the audit's order."""
    orders = {name: facts("audit", name).get("ORDER", LAST) for name in available("audit")}
    return sorted(orders, key=lambda name: (orders[name], name))


def checks_of(config: Spec, study: str) -> list[str]:
    """Name the checks that a study's models are put through, in the audit's order; maybe none."""
    wanted = config["studies"][study]["audit"]
    if wanted is False:
        return []
    return [name for name in known_checks() if wanted is True or name in wanted]


def reruns(config: Spec, study: str) -> bool:
    """Tell whether a study's models are attacked again where the audit finds masking."""
    return bool(checks_of(config, study)) and config["audit"]["rerun"]


def audit_spec(
    config: Spec, study: str, dataset: str, model: str, defense: str, seed: int | str
) -> Spec:
    """Say how a model is audited: `checks`, the threat model, and what its attacks may cost."""
    settings, defended = config["audit"], config["defenses"].get(defense, {})
    norm, eps = audit_threat(config, study, defense)
    inner = config["attacks"].get(defended.get("attack"), {})
    own = {
        "attacks": config["studies"][study]["attacks"],
        "budget": {key: settings[key] for key in ("queries", "samples", "steps")},
        "checks": checks_of(config, study),
        "eps": eps,
        "images": settings["images"],
        "name": f"{dataset}/{model}/{defense} seed {seed}",
        "norm": norm,
        "rerun": settings["rerun"],
        "single_step": ("step" in inner and "steps" not in inner) or _single_step(defended),
        "transfer": transfer_sets(config, study, defense),
    }
    return ordered(job_spec(config, model, seed) | own)


def _single_step(defense: Spec) -> bool:
    """Tell whether a kind of defense trains on examples of one step by itself."""
    known = facts("training.defenses", defense["kind"]) if defense else {}
    return bool(known.get("SINGLE_STEP"))


def rerun_spec(
    config: Spec, study: str, dataset: str, model: str, defense: str, seed: int | str
) -> Spec:
    """Say where a model is attacked again: `threats`, pairs of norm and eps in ascending order.

    They are those of the study's attacks with a single eps; without one, the audit's own.
    """
    norms = facts("attacks", RERUN_KIND).get("NORMS")
    threats = sorted(set(_fixed_threats(config, study, norms)))
    settings = config["audit"]
    own = {"part": "test", "samples": settings["samples"], "queries": settings["rerun_queries"]}
    own["threats"] = threats or [audit_threat(config, study, defense)]
    return ordered(job_spec(config, model, seed) | own)


def gate_spec(config: Spec, study: str) -> Spec:
    """Say what each model of a study must reach: `demands`, a dict per requirement and model."""
    demands = []
    for name, asked in config["requirements"].items():
        minima = {key: asked[key] for key in (*MINIMA, "audit") if key in asked}
        for run in runs(config, study):
            if _matches(asked, run):
                names = run._asdict() | {"name": name, "threats": _asked(config, study, asked)}
                demands.append(names | minima)
    return ordered({"demands": demands, "study": study})


def contradictions(config: Spec) -> Iterator[str]:
    """Say what no schema can of audits and requirements: each problem in one sentence."""
    settings = config["audit"]
    if (settings["norm"] is None) != (settings["eps"] is None):
        given, missing = ("norm", "eps") if settings["eps"] is None else ("eps", "norm")
        yield (
            f"audit.{given} is {settings[given]!r} and audit.{missing} is null; allowed are both, "
            "or null for both, which takes those of the study's own attacks."
        )
    if settings["norm"] == "linf" and settings["eps"] is not None and length(settings["eps"]) > 1:
        yield f"audit.eps is {settings['eps']}; allowed for linf is 0 to 1."
    for name, asked in config["requirements"].items():
        yield from _requirement(config, name, asked)


def _requirement(config: Spec, name: str, asked: dict[str, Any]) -> Iterator[str]:
    path = f"requirements.{name}"
    if not any(key in asked for key in (*MINIMA, "audit")):
        yield f"{path} asks for nothing; allowed are some of clean, robust, certified, audit."
    if ("norm" in asked) != ("eps" in asked):
        given, missing = ("norm", "eps") if "norm" in asked else ("eps", "norm")
        yield f"{path}.{given} is {asked[given]!r} without {missing}; allowed are both or neither."
    if "attack" in asked and "norm" in asked:
        yield f"{path}.attack is '{asked['attack']}' beside norm and eps; allowed is either."
    studies = [
        study
        for study in config["studies"]
        if any(_matches(asked, run) for run in runs(config, study))
    ]
    if not studies:
        sought = ", ".join(f"{key} '{asked[key]}'" for key in PATTERNS)
        yield f"{path} fits no model of any study ({sought}); allowed are patterns that do."
        return
    attack = asked.get("attack")
    if attack and not any(attack in config["studies"][study]["attacks"] for study in studies):
        yield f"{path}.attack is '{attack}'; allowed is an attack of a study with these models."
    if "audit" in asked and not any(checks_of(config, study) for study in studies):
        yield (
            f"{path}.audit is '{asked['audit']}', but studies.{studies[0]}.audit is false; "
            "set audit: true in the study first."
        )


def _matches(asked: dict[str, Any], run: Run) -> bool:
    return all(fnmatchcase(getattr(run, key), asked[key]) for key in PATTERNS)


def _asked(config: Spec, study: str, asked: dict[str, Any]) -> list[tuple[str, float]]:
    """List the (norm, eps) at which a robust or certified accuracy is asked for."""
    if "norm" in asked:
        return [(asked["norm"], length(asked["eps"]))]
    if "attack" in asked:
        points = attack_points(config["attacks"][asked["attack"]])
        return [(point["norm"], point["eps"]) for point in points if "norm" in point]
    return sorted(set(_fixed_threats(config, study, ("linf", "l2", "l1"))))


def _fixed_threats(config: Spec, study: str, norms: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    """Give the (norm, eps) of a study's attacks that have a single eps, not a curve."""
    for name in config["studies"][study]["attacks"]:
        points = attack_points(config["attacks"][name])
        if len(points) == 1 and points[0].get("norm") in norms:
            yield points[0]["norm"], points[0]["eps"]
