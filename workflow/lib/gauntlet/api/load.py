"""`gauntlet.load_model`: a model from a file, read as data only."""

import logging
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from gauntlet.api.own_checkpoint import Recorded, recorded
from gauntlet.api.settings import completed
from gauntlet.core.errors import GauntletError
from gauntlet.core.records import first_line
from gauntlet.models import Classifier, build_model, load_weights
from gauntlet.models.external.archives import require_content
from gauntlet.models.external.bundle import unpack
from gauntlet.models.external.matching import ASIDE_NOTE, matched
from gauntlet.models.external.states import read_state
from gauntlet.stages.import_model import import_weights

logger = logging.getLogger(__name__)
SUFFIXES = {".onnx": "onnx", ".pt2": "exported"}
# settings of the file, not of the model
ASIDE = ("weights", "sha256", "weights_key", "expected_clean_accuracy")


def load_model(
    path: str | Path,
    *,
    network: nn.Module | Callable[[], nn.Module] | None = None,
    arch: str | None = None,
    shape: tuple[int, int, int] | None = None,
    classes: int | None = None,
    device: str | torch.device = "cpu",
    sha256: str | None = None,
    weights_key: str | int | None = None,
    **settings,
) -> nn.Module:
    """Load a model that takes images in [0, 1], in eval mode; no code in the file is run.

    A state dict needs `network`, a module or a function that builds one, or the name of an
    architecture, `arch` (article_cnn, mlp, preact_resnet18, torchvision, declared with `layers`,
    factory with `factory="module:function"`), with `shape` (C, H, W) and `classes`. A TorchScript
    file, a .pt2 file of torch.export and an ONNX file need only `shape` and `classes`. A checkpoint
    of the workflow needs nothing, since its record lies beside it; a record that names a function
    to call is refused. `weights_key` is the place of the state dict in a file that holds several,
    such as 0 or "ema.model". `settings` are those of a model in the
    configuration, such as mean, std, input_range and channel_order. Raises GauntletError (a
    ValueError) that names the file or setting and what is allowed.
    """
    name, place = str(path), _checked_device(device)
    if not Path(name).is_file():
        raise GauntletError(f"path is {name!r}, but there is no such file.")
    if network is not None:
        _refuse_others(arch, shape, classes, settings)
        model = _into_network(network, name, sha256, weights_key)
    else:
        settings |= {} if weights_key is None else {"weights_key": weights_key}
        model = _built(name, arch, shape, classes, sha256, settings)
    return model.to(place).eval()


def _refuse_others(arch, shape, classes, settings: dict) -> None:
    given = {"arch": arch, "shape": shape, "classes": classes} | settings
    for key in (key for key, value in given.items() if value is not None):
        raise GauntletError(
            f"{key} is {given[key]!r} beside network; allowed is network alone, which holds its "
            "own normalization."
        )


def _into_network(network, path: str, sha256: str | None, key: str | int | None) -> nn.Module:
    """Load a state dict into a module of the user."""
    if not callable(network):
        raise GauntletError(
            f"network is a {type(network).__name__}; allowed is a torch.nn.Module or a function "
            "that builds one."
        )
    module = network if isinstance(network, nn.Module) else network()
    if not isinstance(module, nn.Module):
        raise GauntletError(
            f"network gives a {type(module).__name__}; allowed is a torch.nn.Module or a function "
            "that builds one."
        )
    require_content(path, sha256)
    own = module.state_dict()
    size = sum(value.numel() * value.itemsize for value in own.values())
    theirs, notes = read_state(path, size, key)
    module.load_state_dict(matched(own, theirs, path, notes).state)
    for note in notes:
        level = logging.WARNING if note.startswith(ASIDE_NOTE) else logging.INFO
        logger.log(level, "%s: %s", path, note)
    return module


def _built(path: str, arch, shape, classes, sha256, settings: dict) -> Classifier:
    """Build the architecture that is named, or that the file or its record names."""
    kind = arch or _kind_of(path)
    if kind is None:
        known = recorded(path)
        if known is None:
            raise GauntletError(
                f"{path} is no TorchScript, .pt2 or ONNX file, and no record of the workflow lies "
                "beside it; name its architecture by arch, or give a module as network."
            )
        model = _as_recorded(known, path)
        load_weights(model, read_state(path, _bytes(model))[0], path)
        return model
    for key, value in (("shape", shape), ("classes", classes)):
        if value is None:
            raise GauntletError(
                f"{key} is missing; {path} is read as {kind}, which needs shape (C, H, W) and "
                "classes."
            )
    return _imported(path, kind, _checked_shape(shape), _checked_classes(classes), sha256, settings)


def _as_recorded(known: Recorded, path: str) -> Classifier:
    try:
        return build_model(known.model, known.shape, known.classes, 0)
    except (KeyError, TypeError) as error:
        raise GauntletError(
            f"The record beside {path} says no network ({first_line(error)}); name "
            "its architecture by arch, or give a module as network."
        ) from error


def _imported(path: str, kind: str, shape, classes: int, sha256, settings: dict) -> Classifier:
    asked = settings | {"weights": path} | ({"sha256": sha256} if sha256 else {})
    whole = completed("models", "arch", kind, asked)
    own = {key: value for key, value in whole.items() if key not in ASIDE}
    spec = {"model": own, "sha256": sha256, "seed": 0, "weights_key": whole.get("weights_key")}
    state = import_weights(spec, shape, classes, path).state
    content = unpack(state, path)
    model = build_model(own, shape, classes, 0, content)
    if content is None:
        load_weights(model, state, path)
    return model


def _kind_of(path: str) -> str | None:
    """Name the kind of a file that is network and weights at once; None for a state dict."""
    if (suffix := Path(path).suffix.lower()) in SUFFIXES:
        return SUFFIXES[suffix]
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        script = any(name.endswith("constants.pkl") for name in archive.namelist())
    return "torchscript" if script else None


def _checked_device(device) -> torch.device:
    try:
        return torch.zeros(0, device=device).device
    except (RuntimeError, AssertionError, TypeError) as error:
        raise GauntletError(
            f"device is {device!r}; allowed is a device of this machine, such as 'cpu' "
            f"({first_line(error)})."
        ) from error


def _checked_shape(shape) -> tuple[int, int, int]:
    try:
        found = tuple(int(side) for side in shape)
    except (TypeError, ValueError):
        found = ()
    if len(found) != 3 or min(found) < 1:
        raise GauntletError(f"shape is {shape!r}; allowed is (C, H, W), such as (3, 32, 32).")
    return found


def _checked_classes(classes) -> int:
    if type(classes) is not int or classes < 2:
        raise GauntletError(f"classes is {classes!r}; allowed is a whole number of 2 or more.")
    return classes


def _bytes(model: nn.Module) -> int:
    return sum(value.numel() * value.itemsize for value in model.state_dict().values())
