"""Which models a study crosses with which defenses and seeds. Standard library only.

A model of ours is trained with every defense and seed. An external model comes with its weights:
it is taken once, and `as_given` takes the place of a defense.
"""

from collections.abc import Container, Mapping, Sequence
from itertools import product
from typing import Any

AS_GIVEN = "as_given"  # among a study's defenses: that of every external model
OWN = "own"  # as weights: those that a factory's network comes with
NAMES = ("datasets", "models", "defenses", "seeds")


def is_external(model: Mapping[str, Any]) -> bool:
    """Tell whether a model's settings bring weights."""
    return "weights" in model


def crossed(lists: Mapping[str, Sequence], external: Container[str]) -> list[tuple]:
    """List (dataset, model, defense, seed) of a study's models in the order of its lists.

    `external` are the names of the models that are not trained; they run with the first seed.
    """
    first = lists["seeds"][0]
    return [
        (dataset, model, defense, seed)
        for dataset, model, defense, seed in product(*(lists[name] for name in NAMES))
        if (model in external) == (defense == AS_GIVEN) and (model not in external or seed == first)
    ]


def external_models(config: Mapping[str, Any], study: str) -> list[str]:
    """Name the models of a study that are not trained."""
    names = config["studies"][study]["models"]
    return [name for name in names if is_external(config["models"][name])]
