"""What the workflow wrote beside a checkpoint: which model it is, for which images."""

from dataclasses import dataclass
from pathlib import Path

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
    """Find the record of a checkpoint in its folder; None if there is none that names it."""
    file = Path(path).resolve()
    for place in sorted(file.parent.glob(RECORDS)):
        record = read_or_empty(place)
        for name in record.get("outputs", ()):
            if file.parts[-len(Path(name).parts) :] == Path(name).parts:
                return _from(record, file.parents[len(Path(name).parts) - 1])
    return None


def _from(record: dict, root: Path) -> Recorded | None:
    """Read the model's settings, and what is known of the images in the folder `root`."""
    known = [root / name for name in record.get("inputs", ()) if Path(name).name == DATA]
    data = read_or_empty(known[0]) if known else {}
    settings = record.get("spec", {}).get("model")
    if not settings or not data:
        return None
    return Recorded(settings, tuple(data["shape"]), len(data["classes"]))
