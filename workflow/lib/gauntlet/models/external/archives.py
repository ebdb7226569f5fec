"""Checks of a file before its content is used: its size, its checksum, its directory."""

import zipfile
from pathlib import Path

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import sha256

MOST = 1 << 33  # bytes of a file, and of all that it unpacks to
SPARE = 1 << 26  # bytes beside the weights
COPIES = 16  # of the weights: optimizers, averages and earlier weights in one checkpoint


def require_content(path: str, digest: str | None) -> str:
    """Give a file's sha256; GauntletError if it is empty, too large or not what it should be."""
    size = Path(path).stat().st_size
    if size == 0:
        raise GauntletError(f"{path} is empty; allowed is a whole file.")
    if size > MOST:
        raise GauntletError(f"{path} has {size} bytes; allowed are {MOST} at most.")
    found = sha256(path)
    if digest is not None and found != digest:
        raise GauntletError(
            f"{path} has sha256 {found}, not {digest}; get the file again, or correct sha256."
        )
    return found


def require_sizes(path: str, weights: int | None = None) -> None:
    """Bound what a file says it unpacks to, before it is unpacked.

    `weights` are the bytes of the architecture's own weights, if it is known: a file may hold some
    copies of them. Raises GauntletError for more, and for a zip archive whose end is missing.
    """
    most = MOST if weights is None else COPIES * weights + SPARE
    size = Path(path).stat().st_size
    known = f"the architecture's weights have {weights}; " if weights is not None else ""
    if size > most:
        raise GauntletError(f"{path} has {size} bytes; {known}allowed are {most} at most.")
    with open(path, "rb") as stream:
        packed = stream.read(4) == b"PK\x03\x04"
    if not packed:
        return
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise GauntletError(
            f"{path} is truncated or damaged ({error}); get the whole file again."
        ) from error
    if unpacked > most:
        raise GauntletError(
            f"{path} has {size} bytes and would unpack to {unpacked}; {known}allowed are {most} at "
            "most."
        )
