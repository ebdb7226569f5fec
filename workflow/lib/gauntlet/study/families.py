"""The families of plug-ins, as configurations and specifications name them."""

from typing import NamedTuple


class Family(NamedTuple):
    """A family: its package below `gauntlet`, and the setting that names one of its plug-ins."""

    package: str
    switch: str


# By the name that the schema's definitions have.
FAMILIES = {
    "attack": Family("attacks", "kind"),
    "certificate": Family("certify", "kind"),
    "dataset": Family("data", "source"),
    "defense": Family("training.defenses", "kind"),
    "model": Family("models", "arch"),
    "preprocess": Family("preprocess", "kind"),
}
# By the keys under which specifications hold the settings of a plug-in.
KEYS = {
    **{key: FAMILIES[key] for key in ("attack", "certificate", "defense", "model", "preprocess")},
    **dict.fromkeys(("points", "validation_attack"), FAMILIES["attack"]),
}
# Arguments, by package, that the program hands to a plug-in: they are no settings.
HANDED: dict[str, frozenset[str]] = {
    "attacks": frozenset(("streams", "early_stop")),
    "audit": frozenset(),
    "certify": frozenset(("streams", "generator")),
    "data": frozenset(),
    "models": frozenset(("artefact", "gradients")),
    "preprocess": frozenset(),
    "training.defenses": frozenset(
        ("generator", "size", "attack", "crafted", "inner", "memory", "teacher")
    ),
}
