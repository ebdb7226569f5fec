"""Further training images of a user's file: taken, or refused in one sentence."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gauntlet.core.errors import GauntletError
from gauntlet.stages.further_images import further_images
from tests.helpers import tiny

DEVICE = torch.device("cpu")


@pytest.fixture
def files(tmp_path):
    return tiny.data_files(tmp_path)


def _npz(folder, images, labels):
    path = folder / "more.npz"
    np.savez(path, images=images, labels=labels)
    return str(path)


def test_images_and_labels_are_read(files, tmp_path):
    images = np.full((6, 8, 8), 51, dtype=np.uint8)
    found = further_images(_npz(tmp_path, images, [0, 1] * 3), *files, DEVICE)
    assert found.images.shape == (6, 1, 8, 8) and torch.all(found.images == 0.2)
    assert found.labels.tolist() == [0, 1] * 3 and found.labels.dtype == torch.int64


@pytest.mark.parametrize(
    ("shape", "labels", "words"),
    [
        ((4, 9, 8), [0, 1, 0, 1], ["shape [1, 9, 8]", "[1, 8, 8]"]),
        ((4, 8, 8), [0, 1, 2, 1], ["label 2", "0 to 1"]),
        ((4, 8, 8), [0, 1, 0], ["4 images and 3 labels"]),
    ],
)
def test_what_does_not_fit_is_refused(shape, labels, words, files, tmp_path):
    path = _npz(tmp_path, np.zeros(shape, dtype=np.uint8), labels)
    with pytest.raises(GauntletError) as caught:
        further_images(path, *files, DEVICE)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize("part", ["validation", "test"])
@pytest.mark.parametrize("floats", [False, True])
def test_images_that_models_are_judged_on_are_refused(part, floats, files, tmp_path):
    whole = np.load(files[0])
    chosen = json.loads(Path(files[3]).read_text())[part][:3]
    images = np.concatenate([np.zeros((2, *tiny.SHAPE), np.uint8), whole[chosen]])
    images = images.astype(np.float32) / 255 if floats else images
    path = _npz(tmp_path, images, [0, 1, 0, 1, 0])
    with pytest.raises(GauntletError, match="of whose images 3 are in the validation or the test"):
        further_images(path, *files, DEVICE)


def test_images_of_the_training_part_may_come_again(files, tmp_path):
    whole = np.load(files[0])
    chosen = json.loads(Path(files[3]).read_text())["train"][:2]
    path = _npz(tmp_path, whole[chosen], [0, 1])
    assert len(further_images(path, *files, DEVICE).labels) == 2
