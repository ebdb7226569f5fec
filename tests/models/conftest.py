"""What tests of models share."""

import pytest
import torch

from gauntlet.models import build_model
from tests.helpers import tiny
from tests.helpers.state_files import NET


@pytest.fixture(scope="module")
def trained():
    """A model of ours whose running statistics are not those of a fresh one."""
    model = build_model(NET, tiny.SHAPE, 2, 7)
    model.normalize_like(torch.rand(20, *tiny.SHAPE))
    model(torch.rand(20, *tiny.SHAPE))
    return model.eval()
