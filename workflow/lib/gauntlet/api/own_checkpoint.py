"""What the workflow wrote beside a checkpoint: which model it is, for which images."""

from dataclasses import dataclass
from pathlib import Path

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import PROVENANCE
from gauntlet.core.records import read_or_empty

RECORDS = f"*{PROVENANCE}"
DATA = "data.json"


@dataclass(frozen=True)
class Recorded:
    """The settings of a model of the workflow, the shape (C, H, W) of its images, its classes."""

    model: dict
    shape: tuple[int, int, int]
    classes: int


def recorded(path: str | Path) -> Recorded | None:
    """Find the record of a checkpoint in its folder; None if there is none that names it.

    Raises GauntletError if the record names a function to be called: it may come from anybody.
    """
    file = Path(path).resolve()
    for place in sorted(file.parent.glob(RECORDS)):
        record = read_or_empty(place)
        for name in _mapping(record.get("outputs")):
            if file.parts[-len(Path(name).parts) :] == Path(name).parts:
                found = _from(record, file.parents[len(Path(name).parts) - 1])
                return _without_code(found, path)
    return None


def _without_code(found: Recorded | None, path: str | Path) -> Recorded | None:
    function = found.model.get("factory") if found else None
    if function is not None:
        raise GauntletError(
            f"The record beside {path} asks to call {function!r:.80}, which is code; a function is "
            "called only if you name it: give arch='factory' and factory, or the module as network."
        )
    return found


def _from(record: dict, root: Path) -> Recorded | None:
    """Read the model's settings, and what is known of the images in the folder `root`."""
    known = [root / name for name in _mapping(record.get("inputs")) if Path(name).name == DATA]
    data = read_or_empty(known[0]) if known else {}
    settings = _mapping(_mapping(record.get("spec")).get("model"))
    shape, classes = data.get("shape"), data.get("classes")
    if not settings or not isinstance(shape, list) or not isinstance(classes, list):
        return None
    return Recorded(settings, tuple(shape), len(classes))


def _mapping(value: object) -> dict:
    return value if isinstance(value, dict) else {}
