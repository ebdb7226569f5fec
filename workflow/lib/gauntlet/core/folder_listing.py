"""The files below a folder, with size and time of the last change: what a manifest holds."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from gauntlet.core.errors import GauntletError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
HEAD = "size\tmodified_ns\tname\n"


class FileState(NamedTuple):
    """A file's name below its folder (with "/"), its bytes, and when it was changed (ns)."""

    name: str
    size: int
    modified: int


@dataclass
class FolderListing:
    """Files and folders below a folder in the order of their names; hidden ones are left out."""

    files: list[FileState] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)  # links that lead nowhere, or in a circle
    newest: int = 0  # when the last file or folder was changed (ns)


def list_folder(folder: str | Path) -> FolderListing:
    """List all files below a folder; links are followed, names that begin with a dot left out.

    Raises GauntletError if a folder cannot be read.
    """
    listing = FolderListing()
    try:
        listing.newest = os.stat(folder).st_mtime_ns
        _walk(os.fspath(folder), "", (os.path.realpath(folder),), listing)
    except OSError as error:
        raise GauntletError(f"{error.filename} cannot be read ({error.strerror}).") from error
    return listing


def manifest_text(listing: FolderListing) -> bytes:
    """Write a listing as a table: one line a file. Equal folders give equal bytes."""
    rows = [f"{size}\t{modified}\t{name}\n" for name, size, modified in listing.files]
    return (HEAD + "".join(rows)).encode("utf-8", "surrogateescape")


def _walk(folder: str, prefix: str, above: tuple[str, ...], listing: FolderListing) -> None:
    """Add what a folder holds; `above` are the real paths of the folders that lead to it."""
    with os.scandir(folder) as found:
        entries = sorted((entry for entry in found if entry.name[0] != "."), key=_name)
    for entry in entries:
        name = prefix + entry.name
        try:
            state = entry.stat()
        except OSError:
            listing.broken.append(name)
            continue
        if entry.is_dir():
            real = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
            if real in above:
                listing.broken.append(name)
                continue
            listing.folders.append(name)
            _walk(entry.path, f"{name}/", (*above, os.path.realpath(entry.path)), listing)
        elif entry.is_file():
            listing.files.append(FileState(name, state.st_size, state.st_mtime_ns))
        listing.newest = max(listing.newest, state.st_mtime_ns)


def _name(entry: os.DirEntry) -> str:
    return entry.name
