"""Files that appear whole under their final name or not at all, and their digests."""

import hashlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

PROVENANCE = ".provenance.json"  # how the names of files end that say how a result was made


def owner() -> str:
    """Name this process among all that can write to one shared folder."""
    return f"{socket.gethostname()}-{os.getpid()}"


def partial_name(path: str | Path) -> Path:
    """Name the temporary sibling that a file has until it is whole; the suffix stays."""
    path = Path(path)
    return path.with_name(f".{path.stem}.{owner()}.part{path.suffix}")


def write_whole(path: str | Path, write: Callable[[Path], None], durable: bool = False) -> None:
    """Let `write` fill a temporary sibling, then give it its name; `durable` outlasts a crash.

    The folder is made if it is not there; should another copy of the job remove it meanwhile, it
    is made again. What could not be written whole is removed.
    """
    path = Path(path)
    for last in (False, True):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = partial_name(path)
        try:
            write(partial)
            if durable:
                _flush(partial)
            os.replace(partial, path)
            return
        except FileNotFoundError:
            if last or path.parent.is_dir():
                raise
        finally:
            partial.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    with open(path, "rb+") as stream:
        os.fsync(stream.fileno())


def sweep(paths) -> None:
    """Remove what a killed run of this very job on this machine left half-written."""
    host = socket.gethostname()
    for path in map(Path, paths):
        for left in path.parent.glob(f".{path.stem}.{host}-*.part*"):
            number = left.name.split(f".{host}-")[1].split(".")[0]
            if number.isdigit() and not Path(f"/proc/{number}").exists():
                left.unlink(missing_ok=True)


def sha256(path: str | Path) -> str:
    """Give the sha256 of a file's content, as hexadecimal text."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
