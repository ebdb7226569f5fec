"""Files of a Debian package, without root and without unpacking it."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from gauntlet.core.errors import GauntletError
from gauntlet.data._containers import verified_members

TIMEOUT = 900.0  # seconds
LIMIT = 1 << 28  # bytes of the unpacked package


def files_from_package(package: str, members: dict[str, str], folder: Path) -> None:
    """Let apt-get download a package, and write some of its files into a folder.

    `members` maps a path in the package to a file's name. Their content is not verified.
    Raises GauntletError without apt-get; if apt-get fails, with its last line.
    """
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise GauntletError(f"{package}: this system has no {tool}")
    with tempfile.TemporaryDirectory(prefix="gauntlet-") as scratch:
        _run(["apt-get", "download", package], scratch)
        archive = next(Path(scratch).glob("*.deb"), None)
        if archive is None:
            raise GauntletError(f"{package}: apt-get left no package")
        inside = Path(scratch, "files.tar")
        with open(inside, "wb") as stream:
            _run(["dpkg-deb", "--fsys-tarfile", archive.name], scratch, stream)
        found = verified_members(inside, dict.fromkeys(members, ""), LIMIT)
    for path, name in members.items():
        part = folder / f".{name}.package.part"
        part.write_bytes(found[path])
        os.replace(part, folder / name)


def _run(command: list[str], folder: str, output=subprocess.DEVNULL) -> None:
    try:
        subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE,
            timeout=TIMEOUT,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        words = error.stderr.decode(errors="replace").strip().splitlines()
        raise GauntletError(f"{' '.join(command)}: {words[-1] if words else error}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GauntletError(f"{' '.join(command)}: {error}") from error
