"""A training that begins from pretrained weights, through its script."""

import pytest
import torch
from torchvision import models

from gauntlet.core import tensor_io
from gauntlet.core.errors import GauntletError
from tests.helpers import tiny
from train_model import train_model

NAME = "shufflenet_v2_x0_5"
LAYERS = 113  # with weights of their own
OUTPUTS = ("best.pt", "last.pt", "history.csv", "train.json")


@pytest.fixture(scope="module")
def state():
    torch.manual_seed(3)
    return models.get_model(NAME, weights=None, num_classes=5).state_dict()


def trained(folder, state, begin=True, **change):
    """Train on two classes from a file of five; gives the weights by torchvision's names."""
    torch.save(state, folder / "mine.pth")
    spec = tiny.spec("standard", epochs=1, **change)
    spec |= {"model": {"arch": "torchvision", "name": NAME}, "pretrained": None}
    given = [str(folder / "mine.pth")] if begin else []
    outputs = [str(folder / name) for name in OUTPUTS]
    train_model(*tiny.data_files(folder), [], [], [], [], given, *outputs, spec=spec)
    last = tensor_io.load_state(outputs[1])
    return {name.removeprefix("network.1."): value for name, value in last.items()}


def test_frozen_layers_keep_the_weights_of_the_file(state, tmp_path):
    last = trained(tmp_path, state, freeze=LAYERS - 1)
    kept = [name for name in state if not name.startswith("fc.")]
    assert all(torch.equal(last[name], state[name]) for name in kept)
    assert last["fc.weight"].shape == (2, 1024)


def test_layers_that_are_not_frozen_move_away_from_the_file(state, tmp_path):
    last, fresh = trained(tmp_path, state), trained(tmp_path, state, begin=False)
    name = "stage3.0.branch2.0.weight"
    moved = (last[name] - state[name]).norm()
    assert 0 < moved < 0.5 * (fresh[name] - state[name]).norm()


def test_a_file_of_another_network_leaves_no_result(tmp_path):
    other = models.get_model("squeezenet1_1", weights=None).state_dict()
    with pytest.raises(GauntletError, match="does not fit torchvision's"):
        trained(tmp_path, other)
    assert not any((tmp_path / name).exists() for name in OUTPUTS)
