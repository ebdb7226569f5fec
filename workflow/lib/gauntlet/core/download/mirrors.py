"""Files of data sets from mirrors: folders and URLs in order, then the source's own places.

What comes is verified by each file's `read`, so that nothing here decides a result.
"""

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from gauntlet.core.download.http import Unreachable, download
from gauntlet.core.errors import GauntletError

logger = logging.getLogger(__name__)
WEB = ("http://", "https://")


class File(NamedTuple):
    """A file to get.

    names: what it may be called at a mirror; under the first it is kept in the cache.
    limit: the most bytes it may have as it comes, which is compressed as a rule.
    read: gives its verified content, or raises GauntletError.
    """

    names: tuple[str, ...]
    limit: int
    read: Callable[[Path], Any]


class Places(NamedTuple):
    """Where a data set's files may be.

    mirrors: the user's URLs and folders; official: the source's own.
    folders: sub-folders of a mirror that are looked into ("" is the mirror itself).
    package: puts the files into a folder by other means, or raises GauntletError; the last resort.
    """

    mirrors: list[str]
    official: tuple[str, ...]
    folders: tuple[str, ...]
    package: Callable[[Path], None] | None = None


def mirrors_from_environment(environ: Mapping[str, str] = os.environ) -> list[str]:
    """List the user's mirrors: GAUNTLET_MIRRORS (a JSON list), then GAUNTLET_MIRROR (one).

    Raises GauntletError if one is neither an http(s) URL nor a folder's path.
    """
    try:
        listed = json.loads(environ.get("GAUNTLET_MIRRORS") or "[]")
    except ValueError:
        listed = None
    if not isinstance(listed, list):
        raise GauntletError("GAUNTLET_MIRRORS must be a JSON list of http(s) URLs and folders.")
    mirrors = [*listed, *filter(None, [environ.get("GAUNTLET_MIRROR")])]
    for mirror in mirrors:
        if not isinstance(mirror, str) or ("://" in mirror and not mirror.startswith(WEB)):
            raise GauntletError(f"The mirror {mirror!r} must be an http(s) URL or a folder.")
    return list(dict.fromkeys(mirrors))


def fetch(files: list[File], places: Places, cache: Path) -> list[Any]:
    """Get files from the cache or else from the first place that has them whole.

    Gives what each file's `read` gives. Only downloads are kept in the cache. Raises GauntletError
    with all that was tried, and with what to put where by hand.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache):
        search = _Search(places, cache)
        return [search.get(file, files) for file in files]


class _Search:
    def __init__(self, places: Places, cache: Path):
        self.places, self.cache = places, cache
        self.package = places.package
        self.silent: dict[str, GauntletError] = {}  # hosts that do not answer
        self.tried: dict[str, dict[str, None]] = {}  # place: its failures, each once

    def get(self, file: File, files: list[File]) -> Any:
        self.tried.clear()
        for place, attempt in self._attempts(file):
            try:
                return attempt(file)
            except FileNotFoundError:
                self._failed(place, f"no {' or '.join(file.names)}")
            except (GauntletError, OSError) as error:
                self._failed(place, str(error))
        raise GauntletError(self._advice(file, files))

    def _failed(self, place: str, reason: str) -> None:
        reasons = self.tried.setdefault(place, {})
        if reason not in reasons:
            reasons[reason] = None
            logger.info("%s: %s", place, reason)

    def _attempts(self, file: File) -> Iterator[tuple[str, Callable[[File], Any]]]:
        for name in file.names:
            yield str(self.cache), partial(self._from_folder, self.cache / name)
        for place in (*self.places.mirrors, *self.places.official):
            for path in (
                f"{folder}/{name}" for folder in self.places.folders for name in file.names
            ):
                if place.startswith(WEB):
                    yield place, partial(self._from_url, f"{place.rstrip('/')}/{path.lstrip('/')}")
                else:
                    local = Path(place).expanduser() / path.lstrip("/")
                    yield place, partial(self._from_folder, local)
        if self.package:
            yield "the system's package", self._from_package

    def _from_folder(self, path: Path, file: File) -> Any:
        if not path.is_file():
            raise FileNotFoundError(path)
        if path.stat().st_size > file.limit:
            raise GauntletError(f"{path.name} has more than {file.limit} bytes")
        return file.read(path)

    def _from_url(self, url: str, file: File) -> Any:
        host = urlsplit(url).netloc
        if host in self.silent:
            raise self.silent[host]
        tag = hashlib.sha256(url.encode()).hexdigest()[:12]
        part = self.cache / f".{file.names[0]}.{tag}.part"
        try:
            content = _whole(url, part, file)
        except Unreachable as error:
            self.silent[host] = error
            raise
        os.replace(part, self.cache / file.names[0])
        logger.info("%s is verified", url)
        return content

    def _from_package(self, file: File) -> Any:
        self.package, package = None, self.package
        package(self.cache)
        return self._from_folder(self.cache / file.names[0], file)

    def _advice(self, file: File, files: list[File]) -> str:
        tried = [f"- {place}: {'; '.join(reasons)}" for place, reasons in self.tried.items()]
        missing = [each.names[0] for each in files if not (self.cache / each.names[0]).exists()]
        wanted = missing or [file.names[0]]
        return "\n".join(
            [
                f"{file.names[0]} could not be downloaded; tried:",
                *tried,
                f"Put {', '.join(wanted)} into {self.cache.absolute()}, or name a folder or URL "
                "that has them under `mirrors:` or in GAUNTLET_MIRROR, and run again.",
            ]
        )


def _whole(url: str, part: Path, file: File) -> Any:
    """Download and read; what was put together from pieces that do not fit is loaded anew."""
    for last in (False, True):
        resumed = False
        try:
            resumed = download(url, part, file.limit)
            return file.read(part)
        except Unreachable:
            raise
        except GauntletError:
            part.unlink(missing_ok=True)
            if last or not resumed:
                raise


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time download into a folder."""
    with open(folder / ".lock", "w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX)
        except OSError as error:
            logger.info("%s cannot be locked (%s)", folder, error)
        yield
