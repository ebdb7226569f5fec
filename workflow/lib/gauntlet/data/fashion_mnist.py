"""Fashion-MNIST: articles of clothing."""

from functools import partial
from pathlib import Path

from gauntlet.core.download.mirrors import Places
from gauntlet.data._dataset import Dataset
from gauntlet.data._debian import files_from_package
from gauntlet.data._idx import NAMES, mnist_like

OFFICIAL = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",)
FOLDERS = ("", "fashion_mnist", "fashion-mnist", "FashionMNIST/raw")
PACKAGE = "dataset-fashion-mnist"
MEMBERS = {f"usr/share/datasets/fashion-mnist/{name}.gz": f"{name}.gz" for name in NAMES}
CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
DIGESTS = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
SHAPE = (1, 28, 28)
CLASS_COUNT = 10
IMAGES = {"train": 60000, "test": 10000}


def fashion_mnist(mirrors: list[str], cache: Path) -> Dataset:
    """Get Fashion-MNIST: uint8 [70000, 1, 28, 28], the first 60,000 for training.

    Where no mirror answers, Debian's package serves, without root. Source: Xiao, Rasul, Vollgraf
    (2017), https://github.com/zalandoresearch/fashion-mnist.
    """
    package = partial(files_from_package, PACKAGE, MEMBERS)
    return mnist_like(Places(mirrors, OFFICIAL, FOLDERS, package), cache, DIGESTS, CLASSES)
