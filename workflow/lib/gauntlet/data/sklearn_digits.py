"""The handwritten digits that come with scikit-learn."""

import hashlib
import io
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.data._containers import verified_content
from gauntlet.data._dataset import Dataset

LIMIT = 1 << 20  # bytes of the table as text
TEXT = "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8"  # sha256
VALUES = "68aea062d35a127749050fa0e52dca09d6569ac08092c925610e0954e172dde2"  # of bytes
SHAPE = (1, 8, 8)
CLASS_COUNT = 10
IMAGES = 1797


def sklearn_digits(mirrors: list[str], cache: Path) -> Dataset:
    """Get the digits: uint8 [1797, 1, 8, 8] with values from 0 to 16.

    Source: Alpaydin, Kaynak (1998), Optical Recognition of Handwritten Digits, UCI.
    """
    table = _table()
    if hashlib.sha256(table.tobytes()).hexdigest() != VALUES:
        raise GauntletError("The digits in this scikit-learn are not those of the UCI repository.")
    return Dataset(
        images=table[:, :64].reshape(-1, 1, 8, 8),
        labels=table[:, 64].astype(np.int64),
        classes=list("0123456789"),
        max_value=16,
        files=[{"name": "digits.csv", "sha256": TEXT}],
    )


def _table() -> np.ndarray:
    """Read 64 pixels and a label per row, uint8 [1797, 65].

    Importing scikit-learn costs more than all the rest; its file is read if it is the known one.
    """
    found = find_spec("sklearn")
    if found is None:
        raise GauntletError("The source sklearn_digits needs scikit-learn, which is not installed.")
    path = Path(found.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"
    try:
        content = verified_content(path, TEXT, LIMIT)
    except GauntletError:
        return _table_by_import()
    return np.loadtxt(io.BytesIO(content), dtype=np.uint8, delimiter=",")


def _table_by_import() -> np.ndarray:
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return np.column_stack([pixels, labels]).astype(np.uint8)
