"""Attacks, one plug-in file each: `gauntlet/attacks/<kind>.py` holds the function `<kind>`."""

from collections.abc import Callable
from functools import partial

from gauntlet.attacks.base.entry import attack
from gauntlet.core.plugins import load


def bind(settings: dict) -> Callable:
    """Give the attack that a resolved setting names: call it with model, images, labels, streams.

    `settings` is `{"kind": ..., **keyword settings}`. An eps list must have been split before.
    """
    chosen = {key: value for key, value in settings.items() if key != "kind"}
    return partial(attack(load("attacks", settings["kind"])), **chosen)
