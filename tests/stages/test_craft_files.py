"""What crafting and transfer write: examples, draws and ledgers, also of a shard without images."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from craft_examples import craft_examples
from gauntlet.core import scoring, tensor_io
from gauntlet.core.errors import GauntletError
from gauntlet.models import evaluating
from gauntlet.stages import judge as books
from tests.helpers import tiny
from tests.helpers.crafting import KINDS, spec_of, trained_model  # noqa: F401
from transfer_examples import transfer_examples


@pytest.mark.parametrize("kind", KINDS)
def test_a_shard_without_images_gives_files_without_rows(kind, model, tmp_path):
    spec = spec_of(kind, 1) | {"model": tiny.CNN, "threads": 1, "device": "cpu", "shard": "1-of-99"}
    tensor_io.save_state(model.state_dict(), tmp_path / "best.pt")
    names = [str(tmp_path / name) for name in ("examples.npy", "draws.npy", "own.csv")]
    before = torch.are_deterministic_algorithms_enabled()
    try:
        craft_examples(*tiny.data_files(tmp_path), str(tmp_path / "best.pt"), *names, spec=spec)
    finally:
        torch.use_deterministic_algorithms(before)
    assert [np.load(name).shape for name in names[:2]] == [(0, *tiny.SHAPE)] * 2
    assert Path(names[2]).read_text().splitlines() == [",".join(books.COLUMNS)]


@pytest.mark.parametrize("draws", [1, 0])
def test_stages_write_what_they_judged_and_label_transfer(draws, model, tmp_path):
    spec = spec_of("pgd", draws) | {"model": tiny.CNN, "threads": 1, "device": "cpu"}
    files = tiny.data_files(tmp_path)
    tensor_io.save_state(model.state_dict(), tmp_path / "best.pt")
    tensor_io.save_state(tiny.model(seed=9).state_dict(), tmp_path / "other.pt")
    names = [str(tmp_path / name) for name in ("examples.npy", "draws.npy", "own.csv", "moved.csv")]
    before = torch.are_deterministic_algorithms_enabled()
    try:
        craft_examples(*files, str(tmp_path / "best.pt"), *names[:3], spec=spec)
        ask = (*files, str(tmp_path / "other.pt"), names[1], names[3])
        if not draws:
            with pytest.raises(GauntletError, match="draws.npy.*loss_draws"):
                transfer_examples(*ask, spec=spec)
            return
        transfer_examples(*ask, spec=spec)
    finally:
        torch.use_deterministic_algorithms(before)
    own, moved = (list(csv.DictReader(Path(name).read_text().splitlines())) for name in names[2:])
    assert {row["access"] for row in own} == {"white-box"}
    assert {row["access"] for row in moved} == {"transfer"}
    assert {row["forwards"] + row["draw_loss"] for row in moved} == {""}
    assert [row["index"] for row in own] == [row["index"] for row in moved]
    assert [int(row["index"]) for row in own[:32]] == list(range(95, 63, -1))
    examples = np.load(names[1])
    assert examples.dtype == np.float32
    with evaluating(tiny.model(seed=9)) as other:
        said = scoring.predict(other, torch.from_numpy(examples)).tolist()
    assert [int(row["adversarial_prediction"]) for row in moved] == said
