"""Weights from a URL, with the same care as data sets: bounded, resumed, verified by checksum."""

from pathlib import Path

from gauntlet.core.download.mirrors import File, Places, fetch
from gauntlet.models.external.archives import MOST, require_content


def fetch_weights(url: str, sha256: str, mirrors: list[str], cache: Path) -> Path:
    """Get a file into the folder `cache`, if it has the checksum; give its path there.

    Raises GauntletError with all places that were tried.
    """
    base, _, name = url.rpartition("/")

    def verified(path: Path) -> Path:
        require_content(str(path), sha256)
        return path

    fetch([File((name,), MOST, verified)], Places(mirrors, (base,), ("",)), cache)
    return cache / name
