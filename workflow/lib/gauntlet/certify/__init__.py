"""Certificates, one plug-in file each: `gauntlet/certify/<kind>.py` holds the function `<kind>`.

The file also holds NORMS, the norms that it knows, and DETERMINISTIC: True if the certificate is
about the model itself, False (as without it) if about a classifier built from it (randomized
smoothing).
The package can be called: `gauntlet.certify(model, images, labels, eps=...)` is
`gauntlet.api.certify`.
"""

import inspect
import sys

from torch import Tensor

from gauntlet.certify._certificate import Certificate
from gauntlet.core.callable_room import CallableRoom
from gauntlet.core.errors import GauntletError
from gauntlet.core.image_rng import Streams
from gauntlet.core.plugins import load

sys.modules[__name__].__class__ = CallableRoom


def certify(model, images: Tensor, labels: Tensor, point: dict, streams: Streams) -> Certificate:
    """Prove what one kind can about images [N, C, H, W] in [0, 1] with labels [N].

    `point` is `{"kind": ..., "norm": ..., "eps": ..., **settings}`; `streams` are used by kinds
    that draw random numbers. Raises GauntletError for a norm that the kind does not know.
    """
    settings = {key: value for key, value in point.items() if key != "kind"}
    function = load("certify", point["kind"])
    if settings["norm"] not in sys.modules[function.__module__].NORMS:
        known = ", ".join(sys.modules[function.__module__].NORMS)
        raise GauntletError(
            f"norm is {settings['norm']!r}, which {point['kind']} cannot certify; allowed: {known}."
        )
    if "streams" in inspect.signature(function).parameters:
        settings["streams"] = streams
    return function(model, images, labels, **settings)


def deterministic(kind: str) -> bool:
    """Say whether certificates of a kind are about the model itself: only if its file says so."""
    return getattr(sys.modules[load("certify", kind).__module__], "DETERMINISTIC", False) is True
