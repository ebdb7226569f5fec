"""The image files of a user's data set, in a folder."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gauntlet.core.errors import GauntletError
from gauntlet.core.folder_listing import IMAGE_SUFFIXES, list_folder, manifest_text

LIMIT = 1 << 28  # bytes of one file
NO_IMAGE, LINK = "files are no images", "links lead nowhere or are no plain files"


@dataclass
class ImageTree:
    """The image files below a root.

    `files` maps a name below the root (with "/") to what opens it; `folders` are names too;
    `passed_over` counts what is there and is no image, by its kind.
    """

    path: Path
    files: dict[str, Any] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    passed_over: Counter = field(default_factory=Counter)

    def add(self, name: str, size: int, opener: Any) -> None:
        """Take note of a file; raises GauntletError if it is too large or there twice."""
        if not name.lower().endswith(IMAGE_SUFFIXES):
            self.passed_over[NO_IMAGE] += 1
            return
        if size > LIMIT:
            raise GauntletError(
                f"{self.path / name} has more than {LIMIT} bytes, the most that an image may have."
            )
        if name in self.files:
            raise GauntletError(f"{self.path} holds {name} twice; allowed is each name once.")
        self.files[name] = opener

    def contents(self, names: set[str]) -> Iterator[tuple[str, bytes]]:
        """Give (name, bytes) of files, in the order in which they are read fastest."""
        raise NotImplementedError


def require_unchanged(path: str | None, manifests: Sequence[str]) -> None:
    """Raise GauntletError if a folder is not, after it was read, what its manifest says."""
    if not path or not Path(path).is_dir():
        return
    now = manifest_text(list_folder(path))
    if any(Path(manifest).read_bytes() != now for manifest in manifests):
        raise GauntletError(f"The folder {path} changed while it was imported; run again.")


class FolderTree(ImageTree):
    def listed(self) -> ImageTree:
        listing = list_folder(self.path)
        for file in listing.files:
            self.add(file.name, file.size, self.path / file.name)
        self.folders.update(listing.folders)
        self.passed_over[LINK] += len(listing.broken)
        return self

    def contents(self, names: set[str]) -> Iterator[tuple[str, bytes]]:
        for name, path in self.files.items():
            if name in names:
                with open(path, "rb") as stream:
                    yield name, stream.read(LIMIT)
