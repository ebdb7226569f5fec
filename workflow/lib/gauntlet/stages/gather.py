"""What shards of one attack made, joined in the order of one job without shards. NumPy only."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.records import read_rows
from gauntlet.evaluation.failures import read_failures, write_failure


def join_arrays(paths: Sequence[str], count: int, joined: str | Path) -> None:
    """Join .npy files of shape [count * n, ...] to one whose first index runs eps by eps."""
    parts = [np.load(path, mmap_mode="r", allow_pickle=False) for path in paths]
    _require_blocks(paths, [len(part) for part in parts], count)
    blocks = [np.array_split(part, count) if len(part) else [part] * count for part in parts]
    np.save(joined, np.concatenate([block[eps] for eps in range(count) for block in blocks]))


def join_tables(paths: Sequence[str], count: int, joined: str | Path) -> None:
    """Join CSV files of count * n rows alike; their heads must be one."""
    texts = [Path(path).read_text(encoding="utf-8").splitlines(keepends=True) for path in paths]
    heads = {text[0] for text in texts}
    if len(heads) != 1:
        raise GauntletError(f"{paths[0]} and the ledgers beside it have different columns.")
    rows = [text[1:] for text in texts]
    _require_blocks(paths, [len(part) for part in rows], count)
    with open(joined, "w", encoding="utf-8", newline="") as stream:
        stream.write(heads.pop())
        for eps in range(count):
            for part in rows:
                size = len(part) // count
                stream.writelines(part[eps * size : (eps + 1) * size])


def failure_of(paths: Sequence[str], joined: str | Path) -> str | None:
    """Write why the whole attack failed, and give it, if one of its shards did; else None."""
    found = [failure for path in paths for failure in read_failures(path, "")]
    if not found:
        return None
    first = found[0]
    counts = {failure.path: failure.n for failure in found}
    whole = sum(counts.get(path) or _images(path) for path in paths)
    threats = dict.fromkeys((failure.norm, failure.eps) for failure in found)
    write_failure(joined, first.reason, first.access, threats, whole)
    return first.reason


def _images(path: str) -> int:
    return len({row["index"] for row in read_rows(path)})


def _require_blocks(paths: Sequence[str], lengths: Sequence[int], count: int) -> None:
    for path, length in zip(paths, lengths, strict=True):
        if length % count:
            raise GauntletError(f"{path} holds {length} rows, which is no multiple of {count} eps.")
