"""One file to be fetched, and a fetch of it."""

import gzip
import hashlib
from functools import partial
from pathlib import Path

import numpy as np

from gauntlet.core.download.mirrors import File, Places, fetch
from gauntlet.data._containers import verified_content

CONTENT = np.random.default_rng(0).integers(0, 256, 40_000, dtype=np.uint8).tobytes()
DIGEST = hashlib.sha256(CONTENT).hexdigest()
LIMIT = 1 << 20
FILE = File(("x.gz", "x"), LIMIT, partial(verified_content, digest=DIGEST, limit=LIMIT))
ZIPPED = gzip.compress(CONTENT)


def get(cache: Path, *mirrors: str, official=(), folders=("", "sub"), package=None) -> bytes:
    (content,) = fetch([FILE], Places([*map(str, mirrors)], official, folders, package), cache)
    return content


def left_in(cache: Path) -> set[str]:
    return {path.name for path in cache.iterdir()} - {".lock"}
