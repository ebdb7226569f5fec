"""What `--data` names: a data set that Gauntlet fetches, a folder of images, or an .npz file."""

from pathlib import Path
from typing import Any, NamedTuple

from gauntlet.cli.errors import UsageMistake

FETCHED = ("mnist", "fashion_mnist", "cifar10", "digits")
RADII = {"mnist": 0.3, "fashion_mnist": 0.1, "cifar10": "8/255", "digits": 0.15}  # linf, as usual
OTHERS = "8/255"


class Source(NamedTuple):
    """A data set: its name in a study, and its settings but for the split."""

    name: str
    settings: dict[str, Any]

    @property
    def eps(self) -> float | str:
        """Give the linf radius that is usual for it."""
        return RADII.get(self.name, OTHERS)

    @property
    def own_test_part(self) -> bool:
        """Tell whether it comes with a test part."""
        return self.name in ("mnist", "fashion_mnist", "cifar10")


def source(data: str) -> Source:
    """Read what `--data` says; raises UsageMistake for what is neither a name nor a path."""
    if data in FETCHED:
        return Source(data, {"source": "sklearn_digits" if data == "digits" else data})
    path = Path(data)
    if path.is_dir():
        return Source("images", {"source": "image_folder", "path": data})
    if path.suffix == ".npz" and path.is_file():
        return Source("arrays", {"source": "npz", "path": data})
    raise UsageMistake(
        f"--data is '{data}'; allowed are {', '.join(FETCHED)}, a folder with one sub-folder of "
        "images per class, and an .npz file that is there."
    )
