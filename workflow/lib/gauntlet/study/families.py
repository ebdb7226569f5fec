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
}
# By the keys under which specifications hold the settings of a plug-in.
KEYS = {
    **{key: FAMILIES[key] for key in ("attack", "certificate", "defense", "model")},
    **dict.fromkeys(("points", "validation_attack"), FAMILIES["attack"]),
}
