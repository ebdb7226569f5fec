"""An attack, a transfer or a rerun that failed on a model: the file that stands for its ledger.

NumPy only.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.records import read_rows, write_rows
from gauntlet.evaluation.attack_ledger import SELF

HEAD = ("failed", "access", "norm", "eps", "n")


@dataclass(frozen=True)
class Failure:
    """What failed on a model at one norm and eps, why, and the file that says so.

    `n` are the images that it was to be measured on.
    """

    attack: str
    source: str
    access: str
    norm: str
    eps: float
    n: int
    reason: str
    path: str

    @property
    def sentence(self) -> str:
        """Say what failed and why."""
        shown = "" if self.source == SELF else f" from {self.source}"
        return f"{self.attack}{shown} failed: {self.reason}"


def write_failure(
    path: str | Path, reason: str, access: str, threats: Iterable[tuple[str, float]], n: int
) -> None:
    """Write, in the place of a ledger, why there is none, once for each (norm, eps)."""
    rows = [
        {"failed": reason, "access": access, "norm": norm, "eps": repr(float(eps)), "n": n}
        for norm, eps in threats
    ]
    write_rows(path, HEAD, rows)


def write_missing(paths: Iterable[str | Path]) -> None:
    """Write files that say that examples are missing: arrays of shape [0]."""
    for path in paths:
        np.save(path, np.zeros(0, np.float32))


def is_missing(examples: np.ndarray) -> bool:
    """Tell whether an array says that examples are missing."""
    return examples.ndim == 1


def failed(path: str | Path) -> bool:
    """Tell whether a file says why there is no ledger."""
    with open(path, encoding="utf-8") as stream:
        return stream.readline().startswith(f"{HEAD[0]},")


def read_failures(path: str | Path, attack: str, source: str = SELF) -> list[Failure]:
    """Read why there is no ledger, once for each (norm, eps); empty if the file is a ledger."""
    if not failed(path):
        return []
    try:
        return [
            Failure(
                attack=attack,
                source=source,
                access=row["access"],
                norm=row["norm"],
                eps=float(row["eps"]),
                n=int(row["n"]),
                reason=row["failed"],
                path=str(path),
            )
            for row in read_rows(path)
        ]
    except (KeyError, ValueError) as error:
        raise GauntletError(f"{path} is no readable note of a failure ({error}).") from error
