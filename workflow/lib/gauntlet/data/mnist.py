"""MNIST: handwritten digits."""

from pathlib import Path

from gauntlet.core.download.mirrors import Places
from gauntlet.data._dataset import Dataset
from gauntlet.data._idx import mnist_like

OFFICIAL = ("https://ossci-datasets.s3.amazonaws.com/mnist", "http://yann.lecun.com/exdb/mnist")
FOLDERS = ("", "mnist", "MNIST/raw")
CLASSES = tuple("0123456789")
DIGESTS = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
SHAPE = (1, 28, 28)
CLASS_COUNT = 10
IMAGES = {"train": 60000, "test": 10000}


def mnist(mirrors: list[str], cache: Path) -> Dataset:
    """Get MNIST: uint8 [70000, 1, 28, 28], the first 60,000 for training.

    Source: LeCun, Cortes, Burges, http://yann.lecun.com/exdb/mnist/.
    """
    return mnist_like(Places(mirrors, OFFICIAL, FOLDERS), cache, DIGESTS, CLASSES)
