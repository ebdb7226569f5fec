"""Files that get their final name only when they are complete, and their digests."""

import hashlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

PROVENANCE = ".provenance.json"  # how the names of files end that say how a result was made


def owner() -> str:
    """Give a name for this process that is unique among all that can write to a shared folder."""
    return f"{socket.gethostname()}-{os.getpid()}"


def partial_name(path: str | Path) -> Path:
    """Give the temporary name that a file has until it is complete; the suffix stays."""
    path = Path(path)
    return path.with_name(f".{path.stem}.{owner()}.part{path.suffix}")


def write_whole(path: str | Path, write: Callable[[Path], None], durable: bool = False) -> None:
    """Let `write` fill a temporary file, then rename it; `durable` keeps it after a crash.

    The folder is made if it does not exist, and made again if another process removes it
    meanwhile. An incomplete file is removed.
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
    """Remove the incomplete files of killed processes of this job on this machine."""
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
