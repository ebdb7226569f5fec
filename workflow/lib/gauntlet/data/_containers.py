"""Contents of files from outside: bounded, verified, never unpacked to the disk."""

import bz2
import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from gauntlet.core.errors import GauntletError

OPENERS = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open}
BROKEN = (OSError, EOFError, ValueError, OverflowError, zlib.error, tarfile.TarError)
BLOCK = 1 << 20  # bytes that are read at a time
ALGORITHMS = {32: "md5", 64: "sha256"}


def verified_content(path: Path, digest: str, limit: int) -> bytes:
    """Give the content of a file that may be plain, or compressed by gzip or bzip2.

    Raises GauntletError if it is damaged, unpacks to more than `limit` bytes or has another digest.
    """
    try:
        with _unpacked(path, limit) as stream:
            content = stream.read()
    except BROKEN as error:
        raise _damaged(path, error) from error
    check(path.name, content, digest)
    return content


def verified_members(path: Path, digests: Mapping[str, str], limit: int) -> dict[str, bytes]:
    """Give the content of named members of a tar archive, which may be compressed.

    Raises GauntletError if the archive is damaged or unpacks to more than `limit` bytes, or if a
    member is missing, is no plain file or has another digest (none is checked where it is "").
    """
    found = {}
    try:
        with (
            _unpacked(path, limit) as stream,
            tarfile.open(fileobj=stream, mode="r|", bufsize=BLOCK, errorlevel=2) as archive,
        ):
            for member in archive:
                name = member.name.removeprefix("./")
                if name in digests and name not in found:
                    found[name] = _content(archive, member)
    except BROKEN as error:
        raise _damaged(path, error) from error
    for name, digest in digests.items():
        if name not in found:
            raise GauntletError(f"{path.name} has no member {name}.")
        check(f"{path.name}:{name}", found[name], digest)
    return found


def check(name: str, content: bytes, digest: str) -> None:
    """Raise GauntletError unless the content has the sha256 or md5; "" asks for none."""
    if not digest:
        return
    algorithm = ALGORITHMS[len(digest)]
    found = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    if found != digest:
        raise GauntletError(f"the content of {name} has {algorithm} {found}, not {digest}")


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        raise ValueError(f"its member {member.name} is no plain file")
    content = archive.extractfile(member).read()
    if len(content) < member.size:
        raise EOFError(f"its member {member.name} is cut off")
    return content


def _unpacked(path: Path, limit: int) -> io.BufferedReader:
    with open(path, "rb") as stream:
        start = stream.read(2)
    return io.BufferedReader(_Bounded(OPENERS.get(start, open)(path, "rb"), limit), BLOCK)


class _Bounded(io.RawIOBase):
    """A stream that refuses to give more than a number of bytes."""

    def __init__(self, stream: BinaryIO, limit: int):
        self.stream, self.limit, self.given = stream, limit, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        count = self.stream.readinto(buffer)
        self.given += count
        if self.given > self.limit:
            raise ValueError(f"it unpacks to more than {self.limit} bytes")
        return count

    def close(self) -> None:
        self.stream.close()
        super().close()


def _damaged(path: Path, error: Exception) -> GauntletError:
    return GauntletError(f"{path.name} is damaged ({error or type(error).__name__})")
