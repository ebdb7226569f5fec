"""How far the records of one run have come, beside them: an interrupted run goes on from there."""

import hashlib
import json
import math
import secrets
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from gauntlet.core.files import write_whole
from gauntlet.core.records import read_or_empty

FILE = "position.json"


class Done(NamedTuple):
    """How many batches, over all epochs, and how many epochs are done."""

    batches: int
    epochs: int


@dataclass
class Position:
    """The run's identity with its tracker, the last recorded batch, and the recorded epochs.

    `key` says which training it is (see `key_of`); "" for records that were made from a history.
    `rows` are the epochs' numbers as texts; they say whether records belong to a history. `done`
    are the batches and epochs that are behind the training as it begins or goes on.
    """

    folder: Path
    id: str = ""
    batch: int = 0
    rows: list[dict[str, str]] = field(default_factory=list)
    done: Done = Done(0, 0)
    key: str = ""

    @classmethod
    def fresh(cls, folder: Path, key: str = "") -> "Position":
        """Begin a run anew: what an earlier training recorded in its folder is removed."""
        shutil.rmtree(folder, ignore_errors=True)
        return cls(folder, secrets.token_hex(8), key=key)

    @classmethod
    def found(cls, folder: Path, done: Done, key: str) -> "Position":
        """Read a run's position; a fresh one where there is none that can be read.

        Where nothing is `done`, or another training was recorded, a run begins anew.
        """
        read = read_or_empty(folder / FILE)
        rows, identity, batch = read.get("rows"), read.get("id"), read.get("batch")
        known = identity and isinstance(identity, str) and isinstance(rows, list)
        if not known or done == Done(0, 0) or read.get("key") != key:
            at = cls.fresh(folder, key)
            at.done = done
            return at
        return cls(folder, identity, batch if isinstance(batch, int) else 0, rows, done, key)

    def back_to_done(self) -> None:
        """Forget the records of what the training does again, for a tracker that withdraws them."""
        self.batch = self.done.batches
        self.rows = [row for row in self.rows if _epoch(row) <= self.done.epochs]

    @property
    def epoch(self) -> int:
        """Give the last recorded epoch, 0 before the first."""
        return _epoch(self.rows[-1]) if self.rows else 0

    def save(self) -> None:
        """Write the position; a file is complete or does not exist."""
        known = {"id": self.id, "key": self.key, "batch": self.batch, "rows": self.rows}
        text = json.dumps(known)
        write_whole(self.folder / FILE, lambda fresh: fresh.write_text(text, encoding="utf-8"))


def key_of(spec: dict) -> str:
    """Give a short text that is the same for the same specification of a training."""
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:16]


def numbers(row: dict) -> dict[str, float]:
    """Give the finite numbers of an epoch's row, which may be texts; not the epoch itself."""
    found = {name: _number(value) for name, value in row.items() if name != "epoch"}
    return {name: value for name, value in found.items() if math.isfinite(value)}


def as_texts(row: dict) -> dict[str, str]:
    """Give an epoch's numbers as texts that are equal where the numbers are."""
    return {
        name: repr(value)
        for name, value in {"epoch": _number(row["epoch"]), **numbers(row)}.items()
    }


def _epoch(row: dict[str, str]) -> int:
    return int(float(row["epoch"]))


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan
