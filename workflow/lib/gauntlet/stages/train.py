"""A training from its files: data, model and start as a job's inputs name them."""

from pathlib import Path

import torch

from gauntlet.core import tensor_io
from gauntlet.models import load_weights
from gauntlet.stages import inputs as stages
from gauntlet.training import loop
from gauntlet.training.data_parallel import DataParallel, SingleProcess
from gauntlet.training.loop import Outcome, Part


def fit_files(
    files: dict,
    spec: dict,
    keep: Path | None,
    device: torch.device,
    processes: SingleProcess | DataParallel,
) -> Outcome:
    """Train as the spec says on the files `images`, `labels`, `meta`, `split`, `start`, `crafted`.

    The last two are lists of one file or none: weights to begin from, and the examples of a
    defense that trains on files. Raises what `loop.fit` raises, and GauntletError for files
    that do not fit.
    """
    data = [files[name] for name in ("images", "labels", "meta", "split")]
    parts = {
        name: Part(*stages.load_part(*data, name, device)[1:]) for name in ("train", "validation")
    }
    model = stages.make_model(spec, files["meta"], spec["seed"]).to(device)
    if files["start"]:
        load_weights(model, tensor_io.load_state(files["start"][0]), files["start"][0])
    else:
        model.normalize_like(parts["train"].images)
    crafted = files["crafted"]
    examples = stages.load_crafted(crafted[0], parts["train"].images) if crafted else None
    return loop.fit(model, spec, parts["train"], parts["validation"], examples, keep, processes)
