"""What the defenses of a configuration need, and what contradicts itself in their settings.

Standard library only; every function takes a configuration that `schema.complete` has filled.
"""

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from gauntlet.core.plugin_facts import PluginFacts, facts
from gauntlet.study.attack_points import length
from gauntlet.study.matrix import AS_GIVEN, is_external

FAMILY = "training.defenses"
LENGTHS = ("eps", "sigma")
INPUTS = ("from_search", "source", "sources", "teacher")  # what other jobs make: they are inputs
Config = dict[str, Any]


class Made(NamedTuple):
    """A model that a training needs; `model` is None for the training's own architecture."""

    model: str | None
    defense: str


class Crafted(NamedTuple):
    """Examples on the training part that a training needs: of which model, by which attack."""

    source: Made
    attack: str


def training_of(config: Config, defense: str) -> dict[str, Any]:
    """Give a defense's settings of training, its own or inherited."""
    own = config["defenses"][defense]
    return {key: own.get(key, value) for key, value in config["training"].items()}


def own_settings(defense: dict[str, Any], training: dict[str, Any]) -> dict[str, Any]:
    """Give the settings of a defense that are not those of training; lengths are floats."""
    own = {key: value for key, value in defense.items() if key not in training}
    return own | {key: length(own[key]) for key in LENGTHS if key in own}


def init_source(config: Config, defense: str) -> str | None:
    """Name the defense whose weights a defense starts from; None from scratch."""
    name = config["defenses"][defense].get("init", config["training"]["init"])
    return None if name == "none" else name


def needed_crafted(config: Config, defense: str) -> list[Crafted]:
    """List the examples of files that a defense trains on."""
    settings = config["defenses"][defense]
    if "source" in settings:
        return [Crafted(Made(None, settings["source"]), settings["attack"])]
    return [Crafted(Made(**source), settings["attack"]) for source in settings.get("sources", ())]


def needed_teacher(config: Config, defense: str) -> Made | None:
    """Name the model that teaches a defense, if one does."""
    teacher = config["defenses"][defense].get("teacher")
    return teacher and Made(**teacher)


def needed_defenses(config: Config, defense: str) -> list[str]:
    """Name the defenses whose models a training needs, for whatever architecture."""
    found = [made.source.defense for made in needed_crafted(config, defense)]
    teacher = needed_teacher(config, defense)
    found += [teacher.defense] if teacher else []
    start = init_source(config, defense)
    if search := config["defenses"][defense].get("from_search"):  # and what its trials need
        found += needed_defenses(config, config["searches"][search]["defense"])
    return ([start] if start else []) + found


def searches_of(config: Config, study: str) -> list[str]:
    """Name the searches from which a study's defenses come."""
    known = (config["defenses"].get(name, {}) for name in config["studies"][study]["defenses"])
    return list(dict.fromkeys(own["from_search"] for own in known if own.get("from_search")))


def contradictions(config: Config) -> list[str]:
    """Find what no schema can: each problem in one sentence, in the configuration's order."""
    problems = []
    for name, settings in config["defenses"].items():
        training, known = training_of(config, name), facts(FAMILY, settings["kind"])
        path = f"defenses.{name}"
        problems += [*_ramp(path, training, known), *_together(path, training)]
        problems += [*_devices(path, training, known), *_files(path, settings, training)]
        problems += _labels(path, settings, training, config)
        problems += [text for made in _models(name, settings) for text in _given(config, made)]
    return problems + list(_circles(config))


def missing_extra(config: Config) -> list[str]:
    """Say which files of further images are not there, of what studies that are run train."""
    named = [name for study in config["run"] for name in config["studies"][study]["defenses"]]
    named += [search["defense"] for search in config["searches"].values()]
    found = [extra_file(config, name) for name in dict.fromkeys(named) if name != AS_GIVEN]
    return [
        f"training.extra.path is '{path}', but there is no such file; allowed is the path of an "
        f".npz file, seen from {os.getcwd()}."
        for path in dict.fromkeys(found)
        if path and not os.path.isfile(path)
    ]


def extra_file(config: Config, defense: str) -> str | None:
    """Give the path of a defense's further images, if it has some."""
    extra = training_of(config, defense)["extra"]
    return extra and extra["path"]


def _ramp(path: str, training: Config, known: PluginFacts) -> Iterator[str]:
    """Ask for a ramp where training at full strength from the start would learn nothing."""
    ramp, start = training["ramp"], training["ramp_start"]
    if known.get("NEEDS_RAMP") and not ramp > 0:
        yield (
            f"{path}.ramp is {ramp:g}, but this defense must start with a small eps; allowed is a "
            "share of the epochs above 0, such as 0.5."
        )
    if start + ramp > 1:
        yield (
            f"{path}.ramp_start is {start:g} and ramp is {ramp:g}; allowed is a sum of 1 at most, "
            "since both are shares of the training."
        )


def _together(path: str, training: Config) -> Iterator[str]:
    """Refuse settings of training that exclude one another."""
    if training["ema"] and training["swa"]:
        yield (
            f"{path} has ema {training['ema']:g} and swa {training['swa']:g}; allowed is one of "
            "the two averages, with the other 0."
        )


def _devices(path: str, training: Config, known: PluginFacts) -> Iterator[str]:
    devices = training["devices"]
    if devices == 1:
        return
    if known.get("ONE_PROCESS"):
        yield f"{path}.devices is {devices}; allowed with kind {known.path.stem} is 1."
    if training["awp"]:
        yield f"{path}.devices is {devices}; allowed with awp is 1."


def _labels(path: str, settings: Config, training: Config, config: Config) -> Iterator[str]:
    """Refuse mixed labels where a loss, or that of the attack inside, needs one class."""
    kind = settings["kind"]
    if training["mix"] != "cutmix":
        return
    if not facts(FAMILY, kind).get("SOFT_LABELS"):
        yield (
            f"{path}.mix is 'cutmix', which mixes labels; its kind {kind} needs one class for each "
            "image: allowed are cutout and none."
        )
    attack = config["attacks"].get(settings.get("attack"), {})
    if attack.get("loss", "ce") != "ce":
        yield (
            f"{path}.mix is 'cutmix', which mixes labels, but its attack {settings['attack']} has "
            f"loss {attack['loss']}; allowed is loss: ce."
        )


def _files(path: str, settings: Config, training: Config) -> Iterator[str]:
    """Refuse further images where each image needs an example of a file."""
    if training["extra"] and "crafted" in facts(FAMILY, settings["kind"]).arguments:
        yield (
            f"{path}.extra.path is '{training['extra']['path']}', but kind {settings['kind']} "
            "trains on files of examples, and there are no examples of further images; allowed is "
            "extra: null."
        )


def _models(defense: str, settings: Config) -> Iterator[tuple[str, Made]]:
    """Give the models that a defense names, and where."""
    for number, source in enumerate(settings.get("sources", ())):
        yield f"defenses.{defense}.sources[{number}]", Made(**source)
    if "teacher" in settings:
        yield f"defenses.{defense}.teacher", Made(**settings["teacher"])


def _given(config: Config, named: tuple[str, Made]) -> Iterator[str]:
    """Refuse a defense for a model that is not trained, and none for one that is."""
    path, (model, defense) = named
    if model not in config["models"]:
        return
    external = is_external(config["models"][model])
    if external != (defense == AS_GIVEN):
        allowed = f"'{AS_GIVEN}'" if external else "a defense that trains"
        comes = "comes with its weights" if external else "has no weights of its own"
        yield f"{path}.defense is '{defense}', but {model} {comes}; allowed is {allowed}."


def _circles(config: Config) -> Iterator[str]:
    """Show each circle of defenses that need one another's weights or examples."""
    known = config["defenses"]
    needs = {
        name: [other for other in needed_defenses(config, name) if other in known] for name in known
    }
    done: set[str] = set()
    for start in needs:
        circle = _circle(needs, start, done)
        if circle:
            yield (
                f"defenses.{circle[0]} needs itself through init, source, sources or teacher "
                f"({' -> '.join(circle)}); allowed are chains that begin with init: none."
            )


def _circle(needs: dict[str, list[str]], start: str, done: set[str]) -> list[str]:
    """Walk from start, depth first, until a name comes back: its circle, or an empty list."""
    trail: list[str] = []
    todo = [(start, False)]
    while todo:
        name, leaving = todo.pop()
        if leaving:
            done.add(trail.pop())
        elif name in trail:
            circle = [*trail[trail.index(name) :], name]
            done.update(trail)
            return circle
        elif name not in done:
            trail.append(name)
            todo += [(name, True), *((other, False) for other in needs[name])]
    return []
