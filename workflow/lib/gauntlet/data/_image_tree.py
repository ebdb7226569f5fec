"""Where the images of a user's data set are: in a folder, or in zip or tar archives of one."""

import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from gauntlet.core.errors import GauntletError
from gauntlet.data._image_archives import BROKEN, TarTree, ZipTree
from gauntlet.data._image_files import FolderTree, ImageTree

PARTS = ("train", "test")


def image_tree(path: Path) -> ImageTree:
    """List a folder or an archive; raises GauntletError for anything else.

    A folder without sub-folders that holds an archive `train` and an archive `test` is read as if
    both were unpacked into sub-folders of these names.
    """
    if path.is_dir():
        parts = _archives_of_parts(path)
        return PartsTree(path).of(parts) if parts else FolderTree(path).listed()
    return _archive(path)


def _archives_of_parts(folder: Path) -> dict[str, Path]:
    """Find the archives of a folder's parts, by part; nothing if it is no such folder."""
    entries = [entry for entry in sorted(folder.iterdir()) if entry.name[0] != "."]
    if any(entry.is_dir() for entry in entries):
        return {}
    found = {}
    for part in PARTS:
        named = [entry for entry in entries if entry.name.lower().split(".")[0] == part]
        archives = [entry for entry in named if _archive_kind(entry)]
        if len(archives) > 1:
            names = " and ".join(entry.name for entry in archives)
            raise GauntletError(f"{folder} holds {names}; allowed is one archive named {part}.")
        if archives:
            found[part] = archives[0]
    return found if len(found) == len(PARTS) else {}


class PartsTree(ImageTree):
    """The archives of a data set's parts, as folders of the parts' names."""

    def of(self, archives: dict[str, Path]) -> ImageTree:
        """List the archives."""
        self.parts = {part: _archive(path) for part, path in archives.items()}
        for part, tree in self.parts.items():
            self.folders |= {part, *(f"{part}/{name}" for name in tree.folders)}
            self.files |= {f"{part}/{name}": name for name in tree.files}
            self.passed_over += tree.passed_over
        return self

    def contents(self, names: set[str]) -> Iterator[tuple[str, bytes]]:
        for part, tree in self.parts.items():
            own = {name.removeprefix(f"{part}/") for name in names if name.startswith(f"{part}/")}
            for name, content in tree.contents(own):
                yield f"{part}/{name}", content


def _archive(path: Path) -> ImageTree:
    kind = _archive_kind(path) if path.is_file() else None
    if kind is None:
        raise GauntletError(
            f"path is '{path}', which must be a folder with a sub-folder per class, or a zip or "
            "tar archive of one."
        )
    try:
        return _without_root(kind(path).listed())
    except GauntletError:
        raise
    except BROKEN as error:
        raise GauntletError(f"{path} is a damaged archive ({error}).") from error


def _archive_kind(path: Path) -> type[ZipTree | TarTree] | None:
    if zipfile.is_zipfile(path):
        return ZipTree
    try:
        return TarTree if tarfile.is_tarfile(path) else None
    except BROKEN:  # a compressed file that is cut off
        return None


def _without_root(tree: ImageTree) -> ImageTree:
    """Leave out the one folder that holds everything else, as archives often have."""
    while len(tops := {name.split("/")[0] for name in [*tree.files, *tree.folders]}) == 1 and any(
        name.count("/") > 1 for name in tree.files
    ):
        start = f"{tops.pop()}/"
        tree.files = {name.removeprefix(start): opener for name, opener in tree.files.items()}
        tree.folders = {name.removeprefix(start) for name in tree.folders if start in name}
    return tree
