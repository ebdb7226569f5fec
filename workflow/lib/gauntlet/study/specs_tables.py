"""Specifications of a study's published tables. Standard library only."""

from typing import Any

from gauntlet.core.plugin_facts import facts
from gauntlet.study.cost.dataset_sizes import dataset_sizes
from gauntlet.study.cost.work import training_passes
from gauntlet.study.matrix import AS_GIVEN
from gauntlet.study.specs import Spec, figure_spec, ordered, runs, table_spec, train_spec

BASELINE = "standard"  # the kind of defense that others are compared with


def publish_spec(config: Spec, study: str) -> Spec:
    """Say what a study's tables show: also the baseline, and what an epoch of training takes.

    `baseline` is the first defense of the study that trains on nothing but the images, or None;
    `passes` gives forward and backward passes of one training image in one epoch, for each
    [dataset, model, defense] that is trained with settings that are known before a search.
    """
    made = {"baseline": baseline(config, study), "passes": _passes(config, study)}
    return ordered(table_spec(config, study) | made)


def compared_figure_spec(config: Spec, study: str) -> Spec:
    """Say what a figure shows whose sentences tell kinds of defenses apart."""
    return ordered(figure_spec(config, study) | {"kinds": kinds(config, study)})


def baseline(config: Spec, study: str) -> str | None:
    """Name the first defense of a study that is plain training, if there is one."""
    found = kinds(config, study)
    return next((name for name, kind in found.items() if kind["kind"] == BASELINE), None)


def kinds(config: Spec, study: str) -> dict[str, Any]:
    """Give the kind of each defense of a study, and whether it rests on attacks of one step.

    Training on bounds does not, whatever attack it has inside.
    """
    names = [name for name in config["studies"][study]["defenses"] if name != AS_GIVEN]
    return {name: _kind(config, name) for name in names}


def _kind(config: Spec, defense: str) -> dict[str, Any]:
    settings = config["defenses"][defense]
    known = facts("training.defenses", settings["kind"])
    inner = config["attacks"].get(settings.get("attack"), {})
    crafted = "crafted" in known.arguments
    stepped = bool(inner) and inner.get("steps", 1) == 1 and not crafted
    single = (stepped and not known.get("NEEDS_RAMP")) or bool(known.get("SINGLE_STEP"))
    return {"kind": settings["kind"], "single_step": single}


def _passes(config: Spec, study: str) -> list[list]:
    """Count the passes of defenses whose settings are known: a search may find other steps."""
    trained = [run for run in runs(config, study) if run.defense != AS_GIVEN]
    trained = [run for run in trained if not config["defenses"][run.defense].get("from_search")]
    first = {run[:3]: run for run in reversed(trained)}
    rows = []
    for names in dict.fromkeys(run[:3] for run in trained):
        sizes = dataset_sizes(config["datasets"][names[0]])
        each = training_passes(train_spec(config, *first[names]), sizes)
        rows.append([*names, each.forwards, each.backwards])
    return rows
