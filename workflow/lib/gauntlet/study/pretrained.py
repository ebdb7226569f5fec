"""Which models of ours begin from pretrained weights, and where these come from.

Standard library only; a configuration is one that `schema.complete` has filled.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gauntlet.study.defenses import init_source, training_of
from gauntlet.study.matrix import is_external

PUBLISHED = re.compile(r"[A-Z][A-Z0-9_]*")  # how torchvision names weights; all else is a path
USUAL = "DEFAULT"


def pretrained(model: Mapping[str, Any]) -> str | None:
    """Give the name of published weights, or the path of a file; None where neither is set."""
    chosen = model.get("pretrained")
    return USUAL if chosen is True else (chosen or None)


def is_published(weights: str | None) -> bool:
    """Tell whether weights are named that torchvision publishes."""
    return weights is not None and PUBLISHED.fullmatch(weights) is not None


def pretrained_path(model: Mapping[str, Any]) -> str | None:
    """Give the path of the user's own file of pretrained weights, if there is one."""
    weights = pretrained(model)
    return None if weights is None or is_published(weights) else weights


def beginning(config: Mapping[str, Any], model: str, defense: str) -> str | None:
    """Give the pretrained weights that a training begins from; None if it begins otherwise."""
    if init_source(config, defense) is not None:
        return None
    return pretrained(config["models"][model])


def freeze_problems(config: Mapping[str, Any]) -> Iterator[str]:
    """Refuse layers that keep weights that nothing has trained, each defense in one sentence.

    A defense is held against the models that the studies under `run`, and searches, train with it.
    """
    for name in config["defenses"]:
        count = training_of(config, name)["freeze"]
        if not count or init_source(config, name) is not None:
            continue
        models = _trained_with(config, name)
        bare = [model for model in models if pretrained(config["models"][model]) is None]
        if bare or not models:
            whose = f" and models.{bare[0]} has no pretrained weights" if bare else ""
            yield (
                f"defenses.{name}.freeze is {count}, but init is none{whose}; allowed is a defense "
                "or a pretrained model whose weights the frozen layers keep, or freeze: 0."
            )


def _trained_with(config: Mapping[str, Any], defense: str) -> list[str]:
    studies = [config["studies"][name] for name in config["run"]]
    named = [model for s in studies if defense in s["defenses"] for model in s["models"]]
    named += [s["model"] for s in config["searches"].values() if s["defense"] == defense]
    return [model for model in dict.fromkeys(named) if not is_external(config["models"][model])]


def pretrained_problems(name: str, model: Mapping[str, Any], inputs: tuple) -> Iterator[str]:
    """Say what does not go together with a model's pretrained weights; `inputs` are settings."""
    weights = pretrained(model)
    if weights is None:
        return
    if "weights" in model:
        yield (
            f"models.{name}.pretrained is set, but the model comes with its weights and is not "
            "trained; allowed is one of both."
        )
    for key in (key for key in inputs if key in model and is_published(weights)):
        if key != "input_size":
            yield (
                f"models.{name}.{key} is {model[key]!r:.60}, but the pretrained weights bring "
                "their normalization; allowed is that key beside a file of your own."
            )
