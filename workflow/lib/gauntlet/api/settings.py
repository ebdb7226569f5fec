"""A user's settings, checked and completed as the workflow does it: same names, same defaults."""

import inspect
import json
import os
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from gauntlet.core.errors import GauntletError
from gauntlet.core.locations import schema_path
from gauntlet.core.plugins import ENVIRONMENT, available, folders, load
from gauntlet.study import schema
from gauntlet.study.attack_points import attack_points, length
from gauntlet.study.audit_gate import checks_of
from gauntlet.study.certificates import certificate_points
from gauntlet.study.resolve import choices

# What a configuration needs besides the part that is asked about; it decides nothing.
FRAME = {
    "run": ["study"],
    "training": {"validation_attack": "frame"},
    "datasets": {"frame": {"source": "sklearn_digits"}},
    "models": {"frame": {"arch": "mlp"}},
    "attacks": {"frame": {"kind": "pgd", "eps": 0.1}},
    "defenses": {"frame": {"kind": "standard"}},
    "studies": {
        "study": {
            **{"datasets": ["frame"], "models": ["frame"], "defenses": ["frame"]},
            **{"attacks": ["frame"], "seeds": [0]},
        }
    },
}
NAME = "asked"
# What messages say of several eps, and of one.
ONE = " or a fraction as text such as '8/255'"
SEVERAL = re.compile("(, a fraction as text such as '8/255')?, or an ascending list( of these)?")
EPS = {"linf": 8 / 255, "l2": 0.5, "l1": 12.0}  # what the field uses on color images of 32x32
NOT_HERE = ("kind", "loss_draws", "weights")  # keys that the API gives itself, or has no use for


def attack_settings(kind: str, norm: str | None, eps, settings: dict[str, Any]) -> list[dict]:
    """Give an attack's settings once for each eps, ready for its function.

    `eps` is a number, a list, or None for the usual one of the norm. Raises GauntletError for an
    unknown attack or setting, or a value that is not allowed.
    """
    _refuse_kinds("attacks", "attack", kind)
    taken = inspect.signature(load("attacks", kind)).parameters
    threat = _threat(kind, taken, norm, eps)
    return attack_points(completed("attacks", "attack", kind, threat | settings))


def at_one_eps(find: Callable, kind: str, norm: str | None, eps, settings: dict) -> list[dict]:
    """Give what attack_settings or certificate_settings finds at one eps.

    Raises GauntletError for several eps, of which a single result could show only one, and what
    `find` raises.
    """
    if isinstance(eps, list | tuple) or getattr(eps, "ndim", 0):
        raise GauntletError(f"eps is {eps!r}; allowed is one number (evaluate takes a list).")
    try:
        return find(kind, norm, eps, settings)
    except GauntletError as error:
        raise GauntletError(SEVERAL.sub(ONE, str(error))) from None


def certificate_settings(kind: str, norm: str | None, eps, settings: dict[str, Any]) -> list[dict]:
    """Give a certificate's settings once for each eps, ready for its function.

    Raises GauntletError for an unknown kind or setting, or a value that is not allowed.
    """
    _refuse_kinds("certify", "certificate", kind)
    norm = norm or ("l2" if kind == "smoothing" else "linf")
    threat = {"norm": norm, "eps": EPS.get(norm, 0.1) if eps is None else eps}
    return certificate_points(completed("certificates", "certificate", kind, threat | settings))


def completed(family: str, word: str, kind: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Check one entry of a family of the configuration and fill in its defaults.

    Messages name a key as the user wrote it: `steps`, and `word` for the entry's kind.
    """
    switch = "arch" if family == "models" else "kind"
    for key in (key for key in NOT_HERE if key in settings and family != "models"):
        raise GauntletError(f"{key} is no setting of {word} '{kind}' here.")
    entry = {key: _plain(value) for key, value in settings.items()} | {switch: kind}
    try:
        text = json.dumps(entry, sort_keys=True)
    except TypeError as error:
        raise GauntletError(
            f"A setting of {word} '{kind}' is no number or text: {error}."
        ) from None
    return deepcopy(_completed(family, word, switch, text, tuple(folders())))


@lru_cache(maxsize=256)
def _completed(family: str, word: str, switch: str, text: str, own: tuple[str, ...]) -> dict:
    """Complete an entry, given as JSON text so that the same entry is checked once."""
    entry = json.loads(text)
    config = FRAME | {"plugins": list(own), family: FRAME.get(family, {}) | {NAME: entry}}
    try:
        return _complete(config)[family][NAME]
    except GauntletError as error:
        prefix = f"{family}.{NAME}"
        message = (
            str(error).replace(f"{prefix}.{switch} is", f"{word} is").replace(f"{prefix}.", "")
        )
        raise GauntletError(_without_hidden(message.replace(prefix, word))) from None


def _complete(config: dict[str, Any]) -> dict[str, Any]:
    """Complete a configuration, and leave the process's environment as it was."""
    before = os.environ.get(ENVIRONMENT)
    try:
        return schema.complete(config, schema_path())
    finally:
        os.environ.pop(ENVIRONMENT, None)
        if before is not None:
            os.environ[ENVIRONMENT] = before


def _without_hidden(text: str) -> str:
    """Leave out of a list of allowed keys those that a user of the API does not give."""
    if "is no known key" not in text:
        return text
    return re.sub(rf" ({'|'.join(NOT_HERE)}),", "", text)


def _refuse_kinds(family: str, word: str, kind: object) -> None:
    """Raise GauntletError unless there is a plug-in of this kind."""
    known = sorted(available(family))
    if not isinstance(kind, str) or kind not in known:
        raise GauntletError(f"{word} is {kind!r}; allowed is one of {choices(kind, known)}.")


def _threat(
    kind: str, taken: Mapping[str, inspect.Parameter], norm: str | None, eps
) -> dict[str, Any]:
    """Give norm and eps where the attack takes them, with the usual values where none is set."""
    if "norm" not in taken:
        given = {"norm": norm, "eps": eps}
        for key in (key for key in given if given[key] is not None):
            raise GauntletError(
                f"{key} is {given[key]!r}, but attack '{kind}' has no norm and no eps; allowed is "
                "an attack that has both."
            )
        return {}
    norm = norm or _first_norm(kind)
    return {"norm": norm, "eps": EPS.get(norm, 0.1) if eps is None else eps}


def _first_norm(kind: str) -> str:
    """Give the norm of an attack that was asked for none: linf where it knows that."""
    if knows_norm(kind, "linf"):
        return "linf"
    return completed("attacks", "attack", kind, {"eps": 0.1})["norm"]


def knows_norm(kind: str, norm: str) -> bool:
    """Tell whether an attack can be asked for a norm."""
    try:
        completed("attacks", "attack", kind, {"eps": 0.1, "norm": norm})
    except GauntletError:
        return False
    return True


def _plain(value: Any) -> Any:
    """Give JSON types for what NumPy, PyTorch and tuples hold."""
    if isinstance(value, np.generic) or (isinstance(value, torch.Tensor) and value.ndim == 0):
        return value.item()
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(item) for item in value]
    return {key: _plain(part) for key, part in value.items()} if isinstance(value, dict) else value


def audit_settings(eps, norm: str, checks, limit: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Give an audit's threat model, checks and budget; GauntletError for what is not allowed."""
    allowed = ("queries", "samples", "steps")
    for key in (key for key in settings if key not in allowed):
        raise GauntletError(f"{key} is no known key; allowed are {choices(key, list(allowed))}.")
    if checks is not None and not isinstance(checks, str | list | tuple):
        raise GauntletError(f"checks is {checks!r}; allowed is a list of names.")
    checks = [checks] if isinstance(checks, str) else checks
    entry = {key: _plain(value) for key, value in settings.items()} | {"images": limit}
    entry |= {"norm": norm, "eps": EPS.get(norm, 0.1) if eps is None else _plain(eps)}
    study = {**FRAME["studies"]["study"], "audit": True if checks is None else list(checks)}
    config = FRAME | {"plugins": folders(), "audit": entry, "studies": {"study": study}}
    try:
        whole = _complete(config)
    except GauntletError as error:
        text = str(error).replace("studies.study.audit", "checks").replace("audit.images", "limit")
        raise GauntletError(text.replace("audit.", "")) from None
    found = whole["audit"]
    budget = {key: found[key] for key in allowed}
    threat = {"norm": norm, "eps": length(found["eps"]), "images": found["images"]}
    return threat | {"budget": budget, "checks": checks_of(whole, "study")}
