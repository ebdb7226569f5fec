"""Reading an offline run of Weights & Biases: a LevelDB log of protobuf records.

A file has a header of 7 bytes, then blocks of 32 KiB with parts of records: checksum (4 bytes),
length (2), kind (1: whole, 2: first, 3: middle, 4: last), content.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

BLOCK, HEAD, START = 32768, 7, 7
WHOLE, FIRST, MIDDLE, LAST = 1, 2, 3, 4


class Logged(NamedTuple):
    """The ids of the runs in some files, and the rows that were logged, in order."""

    runs: set[str]
    rows: list[dict]


def read_runs(folder: Path) -> Logged:
    """Read all offline runs below a folder, in the order of their beginning."""
    from wandb.proto import wandb_internal_pb2

    found = Logged(set(), [])
    for path in sorted(folder.rglob("run-*.wandb")):
        for content in _records(path.read_bytes()):
            record = wandb_internal_pb2.Record.FromString(content)
            kind = record.WhichOneof("record_type")
            if kind == "run":
                found.runs.add(record.run.run_id)
            elif kind == "history":
                items = record.history.item
                names = [item.key or ".".join(item.nested_key) for item in items]
                found.rows.append(
                    {n: json.loads(i.value_json) for n, i in zip(names, items, strict=True)}
                )
    return found


def _records(data: bytes) -> Iterator[bytes]:
    place, parts = START, []
    while place + HEAD <= len(data):
        if BLOCK - place % BLOCK < HEAD:  # too little is left for a head: the block is padded
            place += BLOCK - place % BLOCK
            continue
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        if kind not in (WHOLE, FIRST, MIDDLE, LAST):
            return
        parts = [] if kind in (WHOLE, FIRST) else parts
        parts.append(data[place + HEAD : place + HEAD + length])
        if kind in (WHOLE, LAST):
            yield b"".join(parts)
        place += HEAD + length
