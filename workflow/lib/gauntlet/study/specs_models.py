"""Specifications of the jobs that bring models in and take them out.

Standard library only; see `specs` for what a specification is.
"""

import os

from gauntlet.core.errors import GauntletError
from gauntlet.study.audit_gate import checks_of
from gauntlet.study.matrix import OWN
from gauntlet.study.models import local_weights, model_settings
from gauntlet.study.pretrained import is_published, pretrained
from gauntlet.study.specs import CHUNKS, Spec, device_kind, ordered


def weights_spec(config: Spec, model: str) -> Spec:
    """Say where an external model's file is fetched from, and what it must be.

    Of published weights torchvision knows place and hash: the spec has their name. Raises
    GauntletError for a model without a URL.
    """
    settings = config["models"][model]
    if is_published(weights := pretrained(settings)):
        return ordered({"name": settings["name"], "pretrained": weights})
    if local_weights(settings) is not None or settings.get("weights") in (None, OWN):
        raise GauntletError(
            f"A target asks to download the weights of the model '{model}', which has no URL; "
            "allowed are models whose weights begin with https://."
        )
    return ordered({"url": settings["weights"], "sha256": settings["sha256"]})


def import_spec(config: Spec, dataset: str, model: str, seed: int | str) -> Spec:
    """Say how an external model is read and checked; its file is an input.

    `name` is the file's name as messages show it, or `own` for a factory's own weights; `called` is
    the model's own. `audited` is there if a study audits the model.
    """
    settings, compute = config["models"][model], config["compute"]
    device = device_kind(config)
    own = {
        "batch": compute["batch"] or CHUNKS[device],
        "called": model,
        "device": device,
        "expected_clean_accuracy": settings.get("expected_clean_accuracy"),
        "model": model_settings(config, model),
        "name": local_weights(settings) or os.path.basename(settings["weights"]),
        "seed": int(seed),
        "sha256": settings.get("sha256"),
        "threads": compute["threads"],
    }
    own |= {key: settings[key] for key in ("weights_key",) if key in settings}
    own |= {"name": OWN} if settings["weights"] == OWN else {}
    return ordered(own | ({"audited": True} if _is_audited(config, model) else {}))


def _is_audited(config: Spec, model: str) -> bool:
    """Tell whether a study under `run` puts a model through the audit's checks."""
    studies = [study for study in config["run"] if model in config["studies"][study]["models"]]
    return any(checks_of(config, study) for study in studies)


def export_spec(config: Spec, model: str) -> Spec:
    """Say which model is written for other programs; its weights are an input."""
    own = {"device": "cpu", "model": model_settings(config, model), "threads": 1}
    return ordered(own)
