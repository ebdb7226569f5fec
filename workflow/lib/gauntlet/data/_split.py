"""Which images train, which choose and which test."""

import hashlib
import re
from itertools import combinations
from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError

PARTS = ("train", "validation", "test")
SHARES = "change the share `test` or `validation`, or add images"
LIMITS = "raise the part's limit, or set it to null"
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
    test_indices: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Divide a data set: sorted positions, int64, for train, validation and test.

    labels: int64 [N]. Without a share `test` the source's canonical split counts, else 0.2.
    `validation` is a share of the training part. Every cut and every limit is stratified and drawn
    from (seed, purpose); a smaller limit gives a subset of a larger one, a limit beyond the part
    the whole part. `test_indices` choose the test part by number: within the canonical test set, or
    else within all images, of which the others are left to train on.
    Raises GauntletError if a share or limit leaves a class without an image in a part, or if an
    index is out of range.
    """
    train = np.arange(len(labels))
    if test is None and canonical:
        train, tested = train[: canonical["train"]], train[canonical["train"] :]
        tested = tested if test_indices is None else _chosen(tested, test_indices)
    elif test_indices is not None:
        tested = _chosen(train, test_indices)
        train = np.setdiff1d(train, tested)
    else:
        tested, train = _cut(train, labels, test or TEST_SHARE, seed, "test")
    kept, train = _cut(train, labels, validation, seed, "validation")
    parts = dict(zip(PARTS, (train, kept, tested), strict=True))
    needed = PARTS if test_indices is None else PARTS[:2]  # chosen images are taken as they are
    _require_classes({part: parts[part] for part in needed}, labels, classes, SHARES)
    limits = {"train": train_limit, "validation": validation_limit, "test": test_limit}
    limited = {
        part: np.sort(chosen[_order(labels[chosen], seed, f"{part} limit")[: limits[part]]])
        for part, chosen in parts.items()
    }
    _require_classes({part: limited[part] for part in needed}, labels, classes, LIMITS)
    return limited


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


def read_indices(chosen: dict) -> np.ndarray:
    """Read which test images are chosen: {"first": a, "last": b}, or {"file": a text of numbers}.

    Raises GauntletError for a file that cannot be read or that holds anything but whole numbers.
    """
    if "file" not in chosen:
        return np.arange(chosen["first"], chosen["last"] + 1)
    try:
        text = Path(chosen["file"]).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise GauntletError(f"{chosen['file']} cannot be read as text ({error}).") from error
    words = re.split(r"[\s,]+", text.strip().removeprefix("[").removesuffix("]").strip())
    wrong = [word for word in words if not re.fullmatch("[0-9]{1,18}", word)]
    if wrong:
        raise GauntletError(
            f"{chosen['file']} holds {wrong[0][:40]!r}; allowed are whole numbers from 0, with "
            "spaces, commas or line breaks between them."
        )
    return np.array(words, dtype=np.int64)


def _chosen(images: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Take images by number, sorted."""
    numbers, counts = np.unique(indices, return_counts=True)
    if numbers[-1] >= len(images):
        raise GauntletError(
            f"test_indices asks for image {numbers[-1]}, but there are {len(images)}; allowed are "
            f"0 to {len(images) - 1}."
        )
    if counts.max() > 1:
        raise GauntletError(
            f"test_indices names image {numbers[counts.argmax()]} {counts.max()} times; allowed is "
            "each number once."
        )
    return images[numbers]


def _require_classes(
    parts: dict[str, np.ndarray], labels: np.ndarray, classes: list[str], cure: str
) -> None:
    for part, chosen in parts.items():
        counts = np.bincount(labels[chosen], minlength=len(classes))
        if not counts.all():
            scarce = int(np.argmin(counts))
            raise GauntletError(
                f"The split leaves no image of class '{classes[scarce]}', which has"
                f" {np.count_nonzero(labels == scarce)}, in the {part} part; every part needs one"
                f" of every class: {cure}."
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
            said.append(f"There is no image of {', '.join(empty)} in the {part} part.")
        elif imbalance[part] > IMBALANCE + 1 / counts[part].sum():
            said.append(f"In the {part} part a class's share is off by {imbalance[part]:.1%}.")
    return said
