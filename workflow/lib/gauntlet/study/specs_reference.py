"""How a study's models are made, for the comparison with published numbers. Standard library."""

from typing import Any

from gauntlet.study.cost.dataset_sizes import dataset_sizes
from gauntlet.study.defenses import training_of
from gauntlet.study.matrix import AS_GIVEN
from gauntlet.study.specs import Spec, ordered, runs
from gauntlet.study.specs_tables import kinds


def reference_spec(config: Spec, study: str) -> Spec:
    """Say how each (dataset, model, defense) of a study is made."""
    names = dict.fromkeys(run[:3] for run in runs(config, study))
    return ordered({"study": study, "setups": [_setup(config, study, *one) for one in names]})


def _setup(config: Spec, study: str, dataset: str, model: str, defense: str) -> dict[str, Any]:
    arch, given = config["models"][model]["arch"], defense == AS_GIVEN
    names = {"dataset": dataset, "model": model, "defense": defense, "given": given, "arch": arch}
    names |= {"data": config["datasets"][dataset]["source"]}
    if given:
        return names | {"kind": AS_GIVEN, "single_step": False}
    training = training_of(config, defense)
    images = dataset_sizes(config["datasets"][dataset]).train
    made = {"epochs": training["epochs"], "selection": training["selection"], "images": images}
    return names | kinds(config, study)[defense] | made
