"""A store of results by content: what was computed once is taken from it, not computed again.

A key is made of all that decides a result: stage, spec, code hash, versions, and path and sha256 of
every input. Snakemake has no early cut-off and forgets what a setting was before; the store, which
lies below it, needs neither. Jobs and workflows share it without locks: an entry is a folder that
gets its name when it is whole. No job depends on it: if anything goes wrong with it, the log says
so, and the result is computed.
"""

import fcntl
import hashlib
import json
import logging
import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import owner, sha256

logger = logging.getLogger("gauntlet.runtime.store")
PLACE = "GAUNTLET_STORE"  # a folder, or "off"
LIMIT = "GAUNTLET_STORE_GB"
USUAL_PLACE, USUAL_LIMIT = ".gauntlet/store", 10.0
EVERY = 30.0  # seconds between two checks of the store's size
LARGE = 0.02  # share of the limit; a larger entry is followed by a check at once
ABANDONED = 24 * 3600.0  # seconds after which an unfinished entry is abandoned
CLONE = 0x40049409  # FICLONE: the copy shares blocks where the file system can


@dataclass(frozen=True)
class Store:
    """A folder of results, and the most bytes that it may hold."""

    folder: Path
    limit: int

    def take(self, key: str, places: dict[str, str]) -> dict | None:
        """Copy a key's outputs to `places` (by name) and verify them; give the record of them.

        Gives None if the key is not there. A damaged entry is removed, and is not there.
        """
        entry = self._entry(key)
        try:
            record = json.loads((entry / "entry.json").read_text(encoding="utf-8"))
            if record["outputs"].keys() != places.keys():
                raise ValueError("it has other outputs")
            for name, place in places.items():
                _copy(entry / name, Path(place))
                if sha256(place) != record["outputs"][name]:
                    raise ValueError(f"{name} is not what was stored")
            with suppress(OSError):  # another user's entry
                os.utime(entry / "entry.json")  # the least used goes first
            return record
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._remove(entry, error)
        except OSError as error:
            logger.warning("%s cannot be taken from the store: %s", key, error)
        for place in places.values():
            Path(place).unlink(missing_ok=True)
        return None

    def add(self, key: str, places: dict[str, str], record: dict) -> None:
        """Keep a key's outputs and a record of them; `record["outputs"]` are their sha256."""
        entry, size = self._entry(key), sum(os.path.getsize(place) for place in places.values())
        if size > self.limit or entry.is_dir():
            return
        fresh = entry.with_name(f".{key}.{owner()}")
        try:
            fresh.mkdir(parents=True)
            for name, place in places.items():
                _copy(Path(place), fresh / name)
            (fresh / "entry.json").write_text(json.dumps(record, sort_keys=True), encoding="utf-8")
            os.rename(fresh, entry)
        except OSError as error:
            if not entry.is_dir():  # else another job was first, with the same result
                logger.warning("the result is not stored in %s: %s", self.folder, error)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        self._keep_small(size)

    def _entry(self, key: str) -> Path:
        return self.folder / key[:2] / key

    def _remove(self, entry: Path, error: Exception) -> None:
        if entry.is_dir():
            logger.warning("a damaged entry of the store is removed (%s): %s", error, entry)
            _discard(entry)

    def _keep_small(self, added: int) -> None:
        """Keep the store below its limit, without reading all of it after every job."""
        mark, now = self.folder / "looked", time.time()
        try:
            recent = 0 <= now - mark.stat().st_mtime < EVERY
        except OSError:
            recent = False
        if recent and added < LARGE * self.limit:
            return
        try:
            mark.touch()
            self.evict()
        except OSError as error:
            logger.warning("the store in %s cannot be read: %s", self.folder, error)

    def evict(self) -> None:
        """Remove the least recently used entries until the rest is within the limit."""
        found = sorted(self._found())
        total = sum(size for _, size, _ in found)
        for _, size, entry in found:
            if total <= self.limit:
                break
            _discard(entry)
            total -= size

    def _found(self):
        """Give (time of last use, bytes, folder) of every entry; abandoned entries are removed."""
        for entry in self.folder.glob("??/*"):
            with suppress(OSError):  # another job has just removed it
                if not entry.name.startswith("."):
                    used = (entry / "entry.json").stat().st_mtime
                    yield used, sum(file.stat().st_size for file in entry.iterdir()), entry
                elif time.time() - entry.stat().st_mtime > ABANDONED:
                    shutil.rmtree(entry, ignore_errors=True)


def from_environment() -> Store | None:
    """Give the store that the environment names; None if it is off."""
    place = os.environ.get(PLACE) or USUAL_PLACE
    if place == "off":
        return None
    asked = os.environ.get(LIMIT) or USUAL_LIMIT
    try:
        limit = float(asked)
    except ValueError:
        raise GauntletError(f"{LIMIT} is '{asked}'; allowed is a number of GB.") from None
    return Store(Path(place).expanduser(), int(limit * 1e9))


def key(task: dict, inputs: dict[str, str], versions: dict[str, str]) -> str:
    """Give the key of a task: 64 hexadecimal digits over all that decides its result."""
    outputs = sorted(set(task["outputs"]) - {"provenance"})
    used = {name: value for name, value in versions.items() if name != "snakemake"}
    whole = [task["stage"], task["params"], task["inputs"], inputs, outputs, used]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def _copy(source: Path, target: Path) -> None:
    """Copy a file; where the file system can, both share their blocks until one changes."""
    with open(source, "rb") as old, open(target, "wb") as new:
        try:
            fcntl.ioctl(new.fileno(), CLONE, old.fileno())
        except OSError:
            shutil.copyfileobj(old, new, 1 << 20)


def _discard(entry: Path) -> None:
    """Rename an entry, then remove it: no job reads half of it."""
    gone = entry.with_name(f".{entry.name}.{owner()}.gone")
    try:
        os.rename(entry, gone)
    except OSError:
        return  # another job was first
    shutil.rmtree(gone, ignore_errors=True)
