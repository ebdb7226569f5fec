"""The image files of a user's data set in a zip or tar archive, which is read in place.

Nothing is unpacked to the disk, so no member's name can lead out of a folder.
"""

import bz2
import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from gauntlet.core.errors import GauntletError
from gauntlet.data._image_files import LIMIT, LINK, ImageTree

OPENERS = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}
BROKEN = (
    *(OSError, EOFError, ValueError, RuntimeError, NotImplementedError),
    *(zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError),
)


class ArchiveTree(ImageTree):
    def take(self, raw: str, is_folder: bool, is_plain: bool, size: int, opener: Any) -> None:
        """Take note of a member; hidden ones are left out, as in a folder."""
        parts = [part for part in PurePosixPath(raw).parts if part not in ("/", "//")]
        if not parts or any(part[0] == "." or part == "__MACOSX" for part in parts):
            return
        above = parts if is_folder else parts[:-1]
        self.folders.update("/".join(above[: end + 1]) for end in range(len(above)))
        if not is_folder and not is_plain:
            self.passed_over[LINK] += 1
        elif not is_folder:
            self.add("/".join(parts), size, opener)

    def contents(self, names: set[str]) -> Iterator[tuple[str, bytes]]:
        openers = {self.files[name]: name for name in self.files if name in names}
        try:
            yield from self.members(openers)
        except BROKEN as error:
            if isinstance(error, GauntletError):
                raise
            raise GauntletError(f"{self.path} is a damaged archive ({error}).") from error

    def members(self, openers: dict[Any, str]) -> Iterator[tuple[str, bytes]]:
        raise NotImplementedError


class ZipTree(ArchiveTree):
    def listed(self) -> ImageTree:
        with zipfile.ZipFile(self.path) as archive:
            for info in archive.infolist():
                link = stat.S_ISLNK(info.external_attr >> 16)
                self.take(info.filename, info.is_dir(), not link, info.file_size, info.filename)
        return self

    def members(self, openers: dict[Any, str]) -> Iterator[tuple[str, bytes]]:
        with zipfile.ZipFile(self.path) as archive:
            for raw, name in openers.items():
                with archive.open(raw) as stream:
                    yield name, stream.read(LIMIT)


class TarTree(ArchiveTree):
    def listed(self) -> ImageTree:
        with _opened(self.path) as archive:
            for place, member in enumerate(archive):
                self.take(member.name, member.isdir(), member.isfile(), member.size, place)
                archive.members = []  # which it would keep for all
        return self

    def members(self, openers: dict[Any, str]) -> Iterator[tuple[str, bytes]]:
        with _opened(self.path) as archive:
            for place, member in enumerate(archive):
                if place in openers:
                    content = archive.extractfile(member).read()
                    if len(content) < member.size:
                        raise EOFError(f"its member {member.name} is cut off")
                    yield openers[place], content
                archive.members = []


class _Member(tarfile.TarInfo):
    """A member of which a damaged head is an error, where tarfile would end without a word."""

    @classmethod
    def frombuf(cls, buf: bytes, encoding: str, errors: str) -> tarfile.TarInfo:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:  # the proper end
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"a member's head: {error}") from error


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    """Open a tar archive, which may be compressed, for reading from start to end."""
    with open(path, "rb") as stream:
        start = stream.read(2)
    with (
        OPENERS.get(start, open)(path, "rb") as stream,
        tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as archive,
    ):
        yield archive
