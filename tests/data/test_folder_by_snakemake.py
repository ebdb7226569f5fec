"""A folder of images in a run: one manifest as input, and what `--config` and a file may say."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.snakes import STUDY, house, merged, snakemake

pytestmark = pytest.mark.workflow
TARGET = "results/data/photos/split.json"
OWN = {"datasets": {"photos": {"source": "image_folder", "path": "photos"}}}


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Make a checkout with a folder of twenty images of two classes."""
    home = house(tmp_path_factory.mktemp("folder") / "home")
    for name in "ab":
        (home / "photos" / name).mkdir(parents=True)
        for place in range(10):
            value = np.full((4, 4), 10 * place + (name == "b"), np.uint8)
            Image.fromarray(value).save(home / "photos" / name / f"{place}.png")
    return home


def test_a_changed_image_makes_the_import_stale_and_texts_are_converted(home):
    study = merged(STUDY, OWN)
    split = "datasets={photos: {split: {test_limit: 2, seed: 7}}}"
    given = ("--config", split, "training={epochs: 2}", "--", TARGET)
    snakemake(home, *given, study=study)
    assert len(json.loads((home / TARGET).read_text())["test"]) == 2
    assert "download_data" not in snakemake(home, "-n", *given, study=study)
    (home / "photos/a/3.png").write_bytes((home / "photos/b/3.png").read_bytes())
    planned = snakemake(home, "-n", *given, study=study)
    assert "input: .gauntlet/folders/photos-" in planned
    assert "photos/a/3.png" not in planned


def test_a_key_twice_in_a_config_file_is_refused(home):
    twice = home / "twice.yaml"
    twice.write_text("training:\n  epochs: 2\n  batch: 64\n  epochs: 3\n")
    study = merged(STUDY, OWN)
    said = snakemake(home, "-n", "--configfile", str(twice), study=study, check=False)
    assert "twice.yaml: training.epochs is set on line 2 and again on line 4" in said
