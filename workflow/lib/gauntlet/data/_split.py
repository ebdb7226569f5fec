"""Which images train, which choose and which test."""

import hashlib
from itertools import combinations

import numpy as np

from gauntlet.core.errors import GauntletError

PARTS = ("train", "validation", "test")
TEST_SHARE = 0.2  # where a source has no test set of its own and the user names no share
IMBALANCE = 0.02  # difference in a class's share, beyond rounding, that is worth a warning


def split_indices(
    labels: np.ndarray,
    classes: list[str],
    canonical: dict[str, int] | None,
    *,
    test: float | None = None,
    validation: float = 0.1,
    seed: int = 0,
    train_limit: int | None = None,
    validation_limit: int | None = None,
    test_limit: int | None = None,
) -> dict[str, np.ndarray]:
    """Divide a data set: sorted positions, int64, for train, validation and test.

    labels: int64 [N]. Without a share `test` the source's canonical split counts, else 0.2.
    `validation` is a share of the training part. Every cut and every limit is stratified and drawn
    from (seed, purpose); a smaller limit gives a subset of a larger one, a limit beyond the part
    the whole part. Raises GauntletError if a share leaves a class without an image in a part.
    """
    train = np.arange(len(labels))
    if test is None and canonical:
        train, tested = train[: canonical["train"]], train[canonical["train"] :]
    else:
        tested, train = _cut(train, labels, test or TEST_SHARE, seed, "test")
    kept, train = _cut(train, labels, validation, seed, "validation")
    parts = dict(zip(PARTS, (train, kept, tested), strict=True))
    _require_classes(parts, labels, classes)
    limits = {"train": train_limit, "validation": validation_limit, "test": test_limit}
    return {
        part: np.sort(chosen[_order(labels[chosen], seed, f"{part} limit")[: limits[part]]])
        for part, chosen in parts.items()
    }


def split_report(
    images: np.ndarray,
    labels: np.ndarray,
    classes: list[str],
    parts: dict[str, np.ndarray],
    foreign: bool,
) -> dict:
    """Count images, classes and exact duplicates of a division, and say what is wrong with it.

    images: [N, C, H, W]; `foreign` says that another split than the source's own was asked for.
    `imbalance` is the largest difference between a class's share in a part and in all images;
    `duplicates` of "a/b" are the images of b that are in a too, byte for byte.
    """
    together = np.concatenate([parts[part] for part in PARTS])
    assert len(np.unique(together)) == len(together), "an image is in two parts"
    counts = {part: np.bincount(labels[parts[part]], minlength=len(classes)) for part in PARTS}
    shares = np.bincount(labels, minlength=len(classes)) / len(labels)
    imbalance = {part: float(abs(counts[part] / len(parts[part]) - shares).max()) for part in PARTS}
    duplicates = _duplicates(np.asarray(images), parts)
    return {
        "class_counts": {
            part: dict(zip(classes, counts[part].tolist(), strict=True)) for part in PARTS
        },
        "counts": {part: len(parts[part]) for part in PARTS},
        "disjoint": True,
        "duplicates": duplicates,
        "imbalance": imbalance,
        "warnings": [
            *_warnings(classes, counts, imbalance, duplicates),
            *(
                ["The source's own test set is not used: results compare with no published ones."]
                * foreign
            ),
        ],
    }


def _cut(
    indices: np.ndarray, labels: np.ndarray, share: float, seed: int, purpose: str
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a share and give it with what is left, both sorted."""
    order = indices[_order(labels[indices], seed, purpose)]
    count = round(share * len(indices))
    return np.sort(order[:count]), np.sort(order[count:])


def _order(labels: np.ndarray, seed: int, purpose: str) -> np.ndarray:
    """Give a random order of which every beginning is stratified.

    The i-th image of a class of n has its place at (i + 1/2) / n, which shares out a beginning's
    places as Webster's method does: exact in sum, and never fewer for a class when there are more.
    """
    stream = _stream(seed, purpose)
    shuffled = stream.permutation(len(labels))
    order = shuffled[np.argsort(labels[shuffled], kind="stable")]  # by class, random within
    counts = np.bincount(labels)
    rank = np.arange(len(labels)) - (np.cumsum(counts) - counts)[labels[order]]
    place = (rank + 0.5) / counts[labels[order]]
    return order[np.lexsort((stream.permutation(len(labels)), place))]


def _stream(seed: int, purpose: str) -> np.random.Generator:
    digest = hashlib.sha256(purpose.encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])


def _require_classes(parts: dict[str, np.ndarray], labels: np.ndarray, classes: list[str]) -> None:
    for part, chosen in parts.items():
        counts = np.bincount(labels[chosen], minlength=len(classes))
        if not counts.all():
            scarce = int(np.argmin(counts))
            raise GauntletError(
                f"The split leaves no image of class '{classes[scarce]}', which has"
                f" {np.count_nonzero(labels == scarce)}, in the {part} part; every part needs one"
                " of every class: change the share `test` or `validation`, or add images."
            )


def _duplicates(images: np.ndarray, parts: dict[str, np.ndarray]) -> dict[str, int]:
    prints = {
        part: [hashlib.blake2b(images[i], digest_size=16).digest() for i in parts[part]]
        for part in PARTS
    }
    known = {part: set(prints[part]) for part in PARTS}
    return {f"{a}/{b}": sum(p in known[a] for p in prints[b]) for a, b in combinations(PARTS, 2)}


def _warnings(classes: list[str], counts: dict, imbalance: dict, duplicates: dict) -> list[str]:
    said = []
    for pair, count in duplicates.items():
        if count:
            a, b = pair.split("/")
            said.append(f"{count} of {counts[b].sum()} {b} images are in the {a} part too.")
    for part in PARTS:
        empty = [name for name, count in zip(classes, counts[part], strict=True) if not count]
        if empty:
            said.append(f"The limit leaves no image of {', '.join(empty)} in the {part} part.")
        elif imbalance[part] > IMBALANCE + 1 / counts[part].sum():
            said.append(f"In the {part} part a class's share is off by {imbalance[part]:.1%}.")
    return said
