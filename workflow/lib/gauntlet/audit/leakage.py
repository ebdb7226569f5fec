"""No test image may be among the training images."""

import hashlib

import torch
from torch import Tensor

from gauntlet.audit._finding import FAIL, Finding, graded, skipped
from gauntlet.audit._subject import Subject, share

NEAR = 0.01  # root mean square difference of two images that count as one
WARN_AT, FAIL_AT = 1e-9, 0.01
CHUNK = 2**25  # distances that are computed together
ORDER = 180  # place among the checks


def leakage(subject: Subject) -> Finding:
    """Look for test images among the training images: the same bytes, or nearly the same picture.

    Source: Barz & Denzler 2020, "Do We Train on Test Data? Purging CIFAR of Near-Duplicates".

    Measured (see `graded`): 0 on digits, MNIST and Fashion-MNIST.
    """
    if subject.train is None or subject.test is None:
        return skipped("leakage", "The parts of the data are not known.")
    (train, known), (test, truth) = subject.train, subject.test
    prints = dict(zip(map(_print, train), known.tolist(), strict=True))
    found = [prints.get(_print(image)) for image in test]
    same = torch.tensor([label is not None for label in found])
    pairs = zip(found, truth.tolist(), strict=True)
    other = torch.tensor([label is not None and label != right for label, right in pairs])
    evidence = {
        "test_images": len(test),
        "also_in_training": share(same),
        "of_these_with_another_label": share(other),
        "nearly_in_training": share(_near(subject.images, train)),
    }
    verdict = graded(
        max(evidence["also_in_training"], evidence["nearly_in_training"]), WARN_AT, FAIL_AT
    )
    if verdict == "pass":
        return Finding("leakage", verdict, evidence, "No test image is among the training images.")
    return Finding(
        "leakage",
        verdict,
        evidence,
        "Test images, or near copies, are among the training images, so accuracies are too high.",
        "Remove duplicates from the data and split it anew."
        if verdict == FAIL
        else "State the number of duplicates beside the results.",
    )


def _print(image: Tensor) -> bytes:
    return hashlib.blake2b(image.cpu().contiguous().numpy().tobytes(), digest_size=16).digest()


def _near(images: Tensor, train: Tensor) -> Tensor:
    """Tell which images [N] have a training image within NEAR."""
    flat, other = images.flatten(1), train.flatten(1)
    reach = NEAR * flat.shape[1] ** 0.5
    parts = flat.split(max(CHUNK // max(len(other), 1), 1))
    return torch.cat([torch.cdist(part, other).amin(1) < reach for part in parts])
