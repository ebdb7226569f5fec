"""From a user's file to a state that the workflow's own jobs load."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor, nn

from gauntlet.core.errors import GauntletError
from gauntlet.core.plugin_facts import facts
from gauntlet.models import Classifier, bare_network, build_model
from gauntlet.models.external.archives import require_content, require_sizes
from gauntlet.models.external.bundle import pack
from gauntlet.models.external.matching import matched
from gauntlet.models.external.safetensors import is_safetensors
from gauntlet.models.external.states import read_state
from gauntlet.stages import import_agreement
from gauntlet.study.models import holds_network

NORMALISATION = ("mean", "std")


@dataclass
class Imported:
    """What was made of a file.

    state: what is saved. sha256: the file's. notes: what was done to read it. rebuild: builds the
    model with other input settings; None where the file or the factory sets them itself. warnings:
    what could not be checked. content, reference: the file as it is, and the model that asks its
    own engine, where it has one.
    """

    state: dict[str, Tensor]
    sha256: str | None = None
    notes: list[str] = field(default_factory=list)
    rebuild: Callable[[dict], Classifier] | None = None
    warnings: list[str] = field(default_factory=list)
    content: bytes = b""
    reference: Classifier | None = None


def import_weights(
    spec: dict, shape: tuple[int, int, int], classes: int, path: str | None
) -> Imported:
    """Read an external model's file for images of `shape` (C, H, W); `path` is None for `own`.

    Raises GauntletError, with the file's name, for whatever is wrong with it.
    """
    settings = spec["model"]
    if path is None:
        return Imported(build_model(settings, shape, classes, spec["seed"]).state_dict())
    digest = require_content(path, spec["sha256"])
    if holds_network(settings["arch"]):
        return _artefact(settings, shape, classes, path, digest)
    model = build_model(settings, shape, classes, 0)
    theirs, notes = read_state(path, _bytes(model), spec.get("weights_key"))
    if theirs.keys() == model.state_dict().keys():
        notes.append("the file is one of Gauntlet's: it brings its normalization")
        return Imported(_whole(model, settings, theirs, path, notes), digest, notes)
    found = matched(
        bare_network(model, settings).state_dict(),
        theirs,
        path,
        notes,
        facts("models", settings["arch"]).get("USUAL_NAMES"),
        shape[0],
        ordered=not is_safetensors(path),
    )

    def rebuild(changed: dict) -> Classifier:
        whole = found.normalization.settings(changed) if found.normalization else changed
        again = build_model(whole, shape, classes, 0)
        bare_network(again, whole).load_state_dict(found.state)
        return again

    return Imported(rebuild(settings).state_dict(), digest, notes, rebuild)


def _artefact(
    settings: dict, shape: tuple[int, int, int], classes: int, path: str, digest: str
) -> Imported:
    require_sizes(path)
    content = Path(path).read_bytes()

    def rebuild(changed: dict) -> Classifier:
        return build_model(changed, shape, classes, 0, content)

    given = Imported(pack(content), digest, rebuild=rebuild, content=content)
    try:
        model = rebuild(settings)
        _compare(given, model, settings, shape, classes)
    except GauntletError as error:
        raise GauntletError(f"{path} cannot be used: {error}") from error
    return given


def _compare(
    given: Imported, model: Classifier, settings: dict, shape: tuple[int, int, int], classes: int
) -> None:
    """Hold a model against the file's own engine, where there is one, on random images."""
    try:
        given.reference = import_agreement.reference_of(settings, shape, classes, given.content)
    except (GauntletError, ImportError) as error:
        given.warnings.append(f"its logits were not compared with ONNX Runtime's: {error}")
    if given.reference is not None:
        images = import_agreement.random_images(shape)
        given.notes.append(
            import_agreement.require_agreement(
                model, given.reference, images, "random images", given.content, settings
            )
        )


def _whole(
    model: Classifier, settings: dict, theirs: dict[str, Tensor], path: str, notes: list[str]
) -> dict[str, Tensor]:
    """Take a model of ours; a normalization in the settings replaces the file's."""
    own = model.state_dict()
    kept = {name: own[name].clone() for name in NORMALISATION if name in settings}
    return matched(own, theirs, path, notes).state | kept


def _bytes(model: nn.Module) -> int:
    return sum(value.numel() * value.itemsize for value in model.state_dict().values())
