"""Attacks, one plug-in file each: `gauntlet/attacks/<kind>.py` holds the function `<kind>`.

An attack is a function `(model, images, labels, *, streams, **settings)` that gives an AttackResult
(`core.threat_models`). The model is a BatchedModel in eval mode, images are float32 [N, C, H, W] in
[0, 1], labels int64 [N], `streams` a random stream per image. Settings such as `norm`, `eps` and
`steps` are keyword-only. `base.entry.attack` checks the inputs; `bind` adds it where a file does
not. The file's constants say what the planning must know: `NORMS`, `FORWARDS`, `DEFAULT_STEP` and
others (docs/how-to/write_a_plugin.md).
"""

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
