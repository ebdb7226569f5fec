"""Where the images of a user's data set are: in a folder, or in a zip or tar archive of one."""

import tarfile
import zipfile
from pathlib import Path

from gauntlet.core.errors import GauntletError
from gauntlet.data._image_archives import BROKEN, TarTree, ZipTree
from gauntlet.data._image_files import FolderTree, ImageTree


def image_tree(path: Path) -> ImageTree:
    """List a folder or an archive; raises GauntletError for anything else."""
    if path.is_dir():
        return FolderTree(path).listed()
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
