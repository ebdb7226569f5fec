"""How much `gauntlet attack` does: quick, usual or full; and the study's text."""

from typing import Any, NamedTuple

from gauntlet.cli.data_sources import Source
from gauntlet.cli.errors import UsageMistake
from gauntlet.cli.yaml_files import block, entries

NORMS = ("linf", "l2", "l1")
CHOICES = 500  # images of the validation part, on which the import looks at the model


class Level(NamedTuple):
    """Test images (None: all), attacks by the norms they know, and what else is made."""

    name: str
    images: int | None
    attacks: dict[str, dict[str, Any]]
    certificate: bool
    audit: bool


PGD = {"kind": "pgd", "steps": 20, "norms": ("linf", "l2")}
FGSM = {"kind": "fgsm", "norms": ("linf", "l2")}
APGD = {"kind": "apgd", "norms": NORMS}
APGD_T = {"kind": "apgd_t", "norms": NORMS}
ENSEMBLE = {"kind": "gauntlet", "norms": ("linf", "l2")}
SQUARE = {"kind": "square", "queries": 2000, "norms": ("linf", "l2"), "answers": True}
FAST = {"fgsm": FGSM, "pgd20": PGD, "apgd": APGD | {"norms": ("l1",)}, "square": SQUARE}
STRONG = {"fgsm": FGSM, "gauntlet": ENSEMBLE, "square": SQUARE}
STRONG |= {"apgd": APGD | {"norms": ("l1",)}, "apgd_t": APGD_T | {"norms": ("l1",)}}
ALL = STRONG | {"pgd20": PGD, "apgd": APGD, "apgd_t": APGD_T}

QUICK = Level("quick", 200, FAST, certificate=False, audit=False)
USUAL = Level("usual", 1000, STRONG, certificate=False, audit=False)
FULL = Level("full", None, ALL, certificate=True, audit=True)


def study_yaml(
    name: str,
    source: Source,
    entry: dict[str, Any],
    level: Level,
    norm: str,
    eps: float | str,
    images: int | None,
) -> str:
    """Write the configuration of a study that attacks one model from outside."""
    if norm not in NORMS:
        raise UsageMistake(f"--norm is '{norm}'; allowed are {', '.join(NORMS)}.")
    attacks = chosen_attacks(level, norm, eps, entry.get("gradients", True))
    proven = {"crown": {"kind": "crown", "norm": norm, "eps": eps}} if level.certificate else {}
    if not entry.get("gradients", True):
        proven = {}
    split = _split(source, images or level.images)
    study = {"datasets": [source.name], "models": [name], "defenses": ["as_given"]}
    study |= {"attacks": list(attacks), "seeds": [0]}
    study |= {"certificates": list(proven)} if proven else {}
    study |= {"audit": True} if level.audit else {}
    parts = [f"run: [{name}]\n"]
    parts.append(f"datasets:\n{entries({source.name: source.settings | {'split': split}})}")
    parts.append(f"models:\n{block({name: entry})}")
    parts.append(f"attacks:\n{entries(attacks)}")
    parts += [f"certificates:\n{entries(proven)}"] if proven else []
    parts.append(f"studies:\n  {name}:\n{entries(study, '    ')}")
    return "\n".join(parts)


def chosen_attacks(level: Level, norm: str, eps: float | str, gradients: bool) -> dict[str, dict]:
    """Give a level's attacks that know the norm, and of a black box those that only ask it.

    Attacks that only ask for answers are used without gradients; the ensemble has its own.
    """
    fitting = {
        name: settings
        for name, settings in level.attacks.items()
        if norm in settings["norms"] and bool(settings.get("answers")) is not gradients
    }
    if not fitting:
        raise UsageMistake(
            f"No attack of --no-gradients knows the norm {norm}; allowed are linf and l2."
        )
    own = ("norms", "answers")
    return {
        name: {k: v for k, v in settings.items() if k not in own} | {"norm": norm, "eps": eps}
        for name, settings in fitting.items()
    }


def _split(source: Source, images: int | None) -> dict[str, Any]:
    """Test on what the source keeps for it, else on most of the images: nothing is trained."""
    split: dict[str, Any] = {} if source.own_test_part else {"test": 0.8, "validation": 0.1}
    limits = {"train_limit": CHOICES, "validation_limit": CHOICES, "test_limit": images}
    return split | {key: limit for key, limit in limits.items() if limit is not None}
