"""CIFAR-10: small color photographs."""

import codecs
import io
import pickle
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np

from gauntlet.core.download.mirrors import File, Places, fetch
from gauntlet.core.errors import GauntletError
from gauntlet.data._containers import verified_members
from gauntlet.data._dataset import Dataset

OFFICIAL = ("https://www.cs.toronto.edu/~kriz",)
FOLDERS = ("", "cifar10", "cifar-10")
ARCHIVE = "cifar-10-python.tar.gz"
LIMIT = 1 << 28  # bytes of the archive, packed and unpacked
DIGESTS = {  # md5, the only digests that are published
    "cifar-10-batches-py/data_batch_1": "c99cafc152244af753f735de768cd75f",
    "cifar-10-batches-py/data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "cifar-10-batches-py/data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "cifar-10-batches-py/data_batch_4": "634d18415352ddfa80567beed471001a",
    "cifar-10-batches-py/data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "cifar-10-batches-py/test_batch": "40351d587109b95175f43aff81a1287e",
}
CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
SHAPE = (3, 32, 32)
CLASS_COUNT = 10
IMAGES = {"train": 50000, "test": 10000}


def cifar10(mirrors: list[str], cache: Path) -> Dataset:
    """Get CIFAR-10: uint8 [60000, 3, 32, 32], the first 50,000 for training.

    Source: Krizhevsky (2009), https://www.cs.toronto.edu/~kriz/cifar.html.
    """
    read = partial(verified_members, digests=DIGESTS, limit=LIMIT)
    archive = File(names=(ARCHIVE, ARCHIVE.removesuffix(".gz")), limit=LIMIT, read=read)
    (members,) = fetch([archive], Places(mirrors, OFFICIAL, FOLDERS), cache)
    files = [{"name": name, "sha256": sha256(members[name]).hexdigest()} for name in DIGESTS]
    images, labels = zip(*(read_batch(members.pop(name), name) for name in DIGESTS), strict=True)
    tested = len(labels[-1])
    return Dataset(
        images=np.concatenate(images),
        labels=np.concatenate(labels),
        classes=list(CLASSES),
        max_value=255,
        files=files,
        canonical={"train": sum(map(len, labels)) - tested, "test": tested},
    )


def read_batch(content: bytes, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Read a batch's images, uint8 [N, 3, 32, 32], and labels, int64 [N], and nothing else.

    Raises GauntletError for a pickle that asks for more than arrays, or holds other ones.
    """
    try:
        batch = _ArraysOnly(io.BytesIO(content), encoding="bytes").load()
        images, labels = batch[b"data"], np.array(batch[b"labels"], dtype=np.int64)
    except Exception as error:  # a malicious pickle can raise anything
        raise GauntletError(f"{name} is no batch of CIFAR-10 ({error!r}).") from error
    whole = isinstance(images, np.ndarray) and images.dtype == np.uint8
    if not whole or images.shape != (len(labels), 3072) or not _in_range(labels):
        raise GauntletError(f"{name} must hold uint8 images of 3072 values and labels from 0 to 9.")
    return images.reshape(-1, 3, 32, 32), labels


def _in_range(labels: np.ndarray) -> bool:
    return labels.ndim == 1 and labels.size > 0 and labels.min() >= 0 and labels.max() < 10


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that knows how to make arrays and refuses every other name."""

    reconstruct = staticmethod(np.empty(0).__reduce__()[0])  # it moved in NumPy 2

    def find_class(self, module: str, name: str):
        known = {
            ("numpy.core.multiarray", "_reconstruct"): self.reconstruct,
            ("numpy._core.multiarray", "_reconstruct"): self.reconstruct,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("_codecs", "encode"): codecs.encode,
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return known[module, name]
