"""Which class and which part of the data an image file belongs to, by its folders."""

from dataclasses import dataclass
from pathlib import Path

from gauntlet.core.errors import GauntletError
from gauntlet.data._image_decode import KINDS
from gauntlet.data._image_files import ImageTree

SPLIT = {"train", "test"}
OTHER_PARTS = {"val", "valid", "validation"}
NO_CLASS = "images lie in no class folder"


@dataclass(frozen=True)
class ImageLayout:
    """Classes by name; files in their order, each with its class; the source's own split."""

    classes: list[str]
    names: list[str]
    labels: list[int]
    canonical: dict[str, int] | None


def image_layout(tree: ImageTree) -> ImageLayout:
    """Read classes and split from the folders of a tree of images.

    The folders at the root are the classes, or `train` and `test` with the classes below them.
    An image in a folder below its class folder belongs to the class.
    Raises GauntletError for fewer than two classes, or a class without an image in a part.
    """
    inner = {name.split("/")[0] for name in tree.folders if "/" in name}
    tops = {name.split("/")[0] for name in tree.folders}
    if "train" in inner and tops <= SPLIT | OTHER_PARTS and tops != SPLIT and len(tops) > 1:
        raise GauntletError(
            f"{tree.path} has the folders {', '.join(sorted(tops))}; allowed are train and test, "
            "since validation images are drawn from the training part (or a folder per class)."
        )
    if tops != SPLIT or inner != SPLIT:
        return _parted(tree, [""], tops)
    classes = {name.split("/")[1] for name in tree.folders if "/" in name}
    return _parted(tree, ["train/", "test/"], classes)


def _parted(tree: ImageTree, parts: list[str], classes: set[str]) -> ImageLayout:
    order = sorted(classes)
    found: dict[str, dict[str, list[str]]] = {part: {name: [] for name in order} for part in parts}
    for name in tree.files:
        part = next((part for part in parts if name.startswith(part)), None)
        pieces = name.removeprefix(part or "").split("/")
        if part is None or len(pieces) < 2:
            tree.passed_over[NO_CLASS] += 1
        else:
            found[part][pieces[0]].append(name)
    _require_images(tree.path, order, found)
    items = [
        (label, file)
        for part in parts
        for label, name in enumerate(order)
        for file in sorted(found[part][name], key=lambda file: file.split("/"))
    ]
    counts = {part[:-1]: sum(map(len, found[part].values())) for part in parts}
    labels, names = [label for label, _ in items], [name for _, name in items]
    return ImageLayout(order, names, labels, counts if len(parts) > 1 else None)


def _require_images(path: Path, classes: list[str], found: dict) -> None:
    if not any(files for part in found.values() for files in part.values()):
        raise GauntletError(
            f"{path} has no sub-folder with {KINDS} images; one per class is needed."
        )
    for part, files in found.items():
        empty = [name for name in classes if not files[name]]
        if empty:
            where = f"{path}/{part}".rstrip("/")
            raise GauntletError(f"The class folder '{empty[0]}' in {where} has no {KINDS} image.")
    if len(classes) < 2:
        raise GauntletError(f"{path} has the one class '{classes[0]}'; at least two are needed.")
