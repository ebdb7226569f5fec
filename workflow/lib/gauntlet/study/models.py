"""Contradictions in the settings of models, the workflow's own and external ones.

Standard library only; a configuration is one that `schema.complete` has filled.
"""

import math
import os
from collections.abc import Iterator
from typing import Any

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import sha256
from gauntlet.core.layer_shapes import after_all, in_words
from gauntlet.core.plugin_facts import facts
from gauntlet.core.plugins import available
from gauntlet.study.matrix import AS_GIVEN, OWN, is_external
from gauntlet.study.pretrained import pretrained, pretrained_problems

WEB = ("http://", "https://")
MADE = "results/"  # weights below it are made by the workflow itself
# How images become what an external network takes.
INPUT = ("input_range", "mean", "std", "channel_order", "input_size")
EXTERNAL = ("sha256", "weights_key", *INPUT, "expected_clean_accuracy", "gradients")


def model_problems(config: dict[str, Any]) -> list[str]:
    """Find what no schema can: each problem in one sentence, in the configuration's order."""
    problems = [text for name, model in config["models"].items() for text in _model(name, model)]
    for study, lists in config["studies"].items():
        problems += _study(config, f"studies.{study}", lists)
    return list(dict.fromkeys(problems))


def local_weights(model: dict[str, Any]) -> str | None:
    """Give the path of an external model's file; None for a URL, and where there is none."""
    weights = model.get("weights")
    return None if weights in (None, OWN) or weights.startswith(WEB) else weights


def model_settings(config: dict[str, Any], name: str) -> dict[str, Any]:
    """Give what decides how a model computes, its weights aside.

    `source` is the sha256 of the file that defines a factory, if it lies below the working
    directory: after an edit it is another model. Files that it imports are not seen.
    """
    model = config["models"][name]
    aside = ("weights", "sha256", "weights_key", "expected_clean_accuracy", "pretrained")
    settings = {key: value for key, value in model.items() if key not in aside}
    if "factory" in model:
        path = factory_file(model["factory"])
        settings["source"] = sha256(path) if path else None
    return settings


def factory_file(factory: str) -> str | None:
    """Find the file of a `package.module:function` below the working directory."""
    base = factory.partition(":")[0].replace(".", "/")
    return next((p for p in (f"{base}.py", f"{base}/__init__.py") if os.path.isfile(p)), None)


def known_shape(dataset: dict[str, Any]) -> tuple[int, int, int] | None:
    """Give the shape (C, H, W) of a data set's images where source or settings say it."""
    known = facts("data", dataset["source"])
    if known.get("LAYOUT") == "folder" and dataset.get("size"):
        return (dataset["channels"], *dataset["size"])
    return known.get("SHAPE")


def holds_network(arch: str) -> bool:
    """Tell whether a model's file is network and weights at once."""
    return "artefact" in facts("models", arch).arguments


def _gradient_free(kind: str) -> bool:
    return bool(facts("attacks", kind).get("GRADIENT_FREE"))


def _model(name: str, model: dict[str, Any]) -> Iterator[str]:
    path = f"models.{name}"
    weights = model.get("weights")
    yield from pretrained_problems(name, model, INPUT)
    if weights is None:
        fine = INPUT if pretrained(model) else ()
        for key in (key for key in EXTERNAL if key in model and key not in fine):
            value = "false" if model[key] is False else repr(model[key])
            yield (
                f"{path}.{key} is {value:.60}, but the model has no weights of its own; "
                f"allowed is {key} beside weights."
            )
    elif "weights_key" in model and (weights == OWN or holds_network(model["arch"])):
        yield (
            f"{path}.weights_key is {model['weights_key']!r:.80}, but the file is no state dict; "
            "allowed is that key for an architecture whose weights are a state dict."
        )
    elif weights == OWN and "factory" not in model:
        yield f"{path}.weights is 'own', which needs arch factory; allowed: a path or a URL."
    elif weights.startswith(WEB) and "sha256" not in model:
        yield f"{path}.sha256 is missing; weights from a URL need the sha256 of the file."
    elif "://" in weights and not weights.startswith(WEB):
        yield f"{path}.weights is {weights!r:.80}; allowed is a path or an http(s) URL."
    if not is_plain(model.get("arguments")):
        yield (
            f"{path}.arguments holds what is no text, number, true, false, null, list or mapping "
            "with texts as keys (YAML reads 2024-01-01 as a date: quote it); allowed are those."
        )
    low, high = model.get("input_range", [0, 1])
    if low >= high:
        yield (
            f"{path}.input_range is {model['input_range']}; allowed is the value of black before "
            "that of white, such as [0, 1] or [0, 255]."
        )


def is_plain(value: Any) -> bool:
    """Tell whether a value can be part of a specification."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_plain(part) for key, part in value.items())
    if isinstance(value, list):
        return all(map(is_plain, value))
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool | int | str)


def _study(config: dict[str, Any], path: str, lists: dict[str, Any]) -> Iterator[str]:
    models = [name for name in lists["models"] if name in config["models"]]
    external = [name for name in models if is_external(config["models"][name])]
    own = [name for name in models if name not in external]
    yield from _active(path, lists, external, own)
    for name in models:
        yield from _attackable(config, path, lists, name)
        for dataset in (name for name in lists["datasets"] if name in config["datasets"]):
            yield from _fitting(config, dataset, name)


def _active(path: str, lists: dict, external: list[str], own: list[str]) -> Iterator[str]:
    trained = [name for name in lists["defenses"] if name != AS_GIVEN]
    given = AS_GIVEN in lists["defenses"]
    if external and not given:
        yield (
            f"{path}.defenses lacks '{AS_GIVEN}'; the study's model {external[0]} comes with its "
            "weights and is not trained, so that this name must be listed."
        )
    if given and not external:
        yield (
            f"{path}.defenses names '{AS_GIVEN}', but none of the study's models comes with "
            "weights; allowed are defenses that train."
        )
    if own and not trained:
        yield (
            f"{path}.defenses names no defense to train the study's model {own[0]} with; allowed "
            "is one or more besides 'as_given'."
        )
    if given and trained and external and not own:
        yield (
            f"{path}.defenses names '{trained[0]}', but all of the study's models come with their "
            f"weights; allowed is ['{AS_GIVEN}']."
        )
    if lists.get("transfer", {}).get("source") == AS_GIVEN:
        yield (
            f"{path}.transfer.source is '{AS_GIVEN}'; allowed is a defense that trains, since "
            "examples are shown to other trainings of the same model."
        )


def _attackable(config: dict, path: str, lists: dict, name: str) -> Iterator[str]:
    """Say which attacks need gradients that a model is said not to have."""
    if config["models"][name].get("gradients", True):
        return
    for number, attack in enumerate(lists["attacks"]):
        kind = config["attacks"].get(attack, {}).get("kind")
        if kind is not None and not _gradient_free(kind):
            allowed = ", ".join(filter(_gradient_free, available("attacks")))
            yield (
                f"{path}.attacks[{number}] is '{attack}', whose kind {kind} needs gradients, but "
                f"models.{name}.gradients is false; allowed are {allowed}."
            )


def _fitting(config: dict[str, Any], dataset: str, name: str) -> Iterator[str]:
    """Check a model against images whose shape is known before they are there."""
    shape, model = known_shape(config["datasets"][dataset]), config["models"][name]
    if shape is None:
        return
    images = f"the images of {dataset} are {in_words(shape)}"
    for key in ("mean", "std"):
        if isinstance(model.get(key), list) and len(model[key]) != shape[0]:
            yield (
                f"models.{name}.{key} has {len(model[key])} values, but {images}; allowed is one "
                "number, or one for each channel."
            )
    if model.get("channel_order") == "bgr" and shape[0] != 3:
        yield f"models.{name}.channel_order is 'bgr', but {images}; allowed is that for 3 channels."
    if "layers" not in model:
        return
    seen = (shape[0], *(model.get("input_size") or shape[1:]))
    try:
        end = after_all(model["layers"], seen, f"models.{name}.layers")
    except GauntletError as error:
        yield f"{str(error).removesuffix('.')} ({images})."
        return
    classes = facts("data", config["datasets"][dataset]["source"]).get("CLASS_COUNT")
    if classes and end != (classes,):
        yield (
            f"models.{name}.layers ends with {in_words(end)} values, but {dataset} has {classes} "
            f"classes; allowed is one flat value for each class."
        )
