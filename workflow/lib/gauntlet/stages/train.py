"""A training from its files: data, model and start as a job's inputs name them."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from gauntlet.core import tensor_io
from gauntlet.core.errors import GauntletError
from gauntlet.core.plugins import load_module
from gauntlet.models import Classifier, load_weights
from gauntlet.stages import inputs as stages
from gauntlet.stages.further_images import further_images
from gauntlet.stages.train_tracking import listening
from gauntlet.training import loop
from gauntlet.training.data_parallel import DataParallel, SingleProcess
from gauntlet.training.loop import Outcome, Part


def fit_files(
    files: dict,
    spec: dict,
    keep: Path | None,
    device: torch.device,
    processes: SingleProcess | DataParallel,
    hopeless: Callable[[list[dict]], bool] | None = None,
) -> Outcome:
    """Train as the spec says on the files `images`, `labels`, `meta`, `split`, `start`, ...

    `start`, `pretrained`, `teacher` and `extra` are lists of one file or none: weights to begin
    from, weights that were trained on other data, a teacher's weights, further images; `crafted`
    lists the examples of a defense that trains on files. `hopeless` is that of `loop.fit`. Raises
    what `loop.fit` raises, and GauntletError for files that do not fit.
    """
    data = [files[name] for name in ("images", "labels", "meta", "split")]
    parts = {
        name: Part(*stages.load_part(*data, name, device)[1:]) for name in ("train", "validation")
    }
    model = stages.make_model(spec, files["meta"], spec["seed"]).to(device)
    if files["start"]:
        load_weights(model, tensor_io.load_state(files["start"][0]), files["start"][0])
    elif not (files["pretrained"] and _pretrained(model, spec, files["pretrained"][0])):
        model.normalize_like(parts["train"].images)
    if spec["training"]["freeze"] and not (files["start"] or files["pretrained"]):
        raise GauntletError(
            f"freeze is {spec['training']['freeze']}, but the network begins with random weights; "
            "allowed is an init or a pretrained model whose weights the frozen layers keep."
        )
    images = parts["train"].images
    given = {"keep": keep, "processes": processes, "crafted": _crafted(files["crafted"], images)}
    if files["teacher"]:
        taught = stages.trained_model(
            spec["defense"]["teacher"], files["meta"], files["teacher"][0]
        )
        given["teacher"] = taught.to(device).eval().requires_grad_(False)
    if files["extra"]:
        given["extra"] = further_images(files["extra"][0], *data, device)
    with listening(spec, parts["train"], parts["validation"], processes.main) as listener:
        given |= {"listener": listener, "hopeless": hopeless}
        return loop.fit(model, spec, parts["train"], parts["validation"], **given)


def _pretrained(model: Classifier, spec: dict, path: str) -> bool:
    """Load weights that were trained on other data; tells whether they bring a normalization."""
    settings = spec["model"]
    begin = load_module("models", settings["arch"]).start_from
    return begin(model, settings, spec["pretrained"], path)


def _crafted(paths: list, images: Tensor) -> Tensor | None:
    """Load examples of all training images: [N, C, H, W], or [N, S, C, H, W] of S files."""
    found = [stages.load_crafted(path, images) for path in paths]
    return torch.stack(found, 1) if len(found) > 1 else (found[0] if found else None)
