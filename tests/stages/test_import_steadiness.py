"""A model from outside is asked twice, and for images alone and together."""

import pytest
import torch
from torch import nn

from gauntlet.core.errors import GauntletError
from gauntlet.stages.import_steadiness import steadiness_warnings
from tests.helpers import tiny

IMAGES = tiny.part(40).images


class Stubborn(nn.Module):
    """A network some of whose layers no `eval` reaches."""

    def __init__(self, kind, *arguments):
        super().__init__()
        self.layer = kind(*arguments)
        self.body = nn.Linear(64, 2)

    def train(self, mode=True):
        super().train(mode)
        self.layer.train()
        return self

    def forward(self, x):
        return self.body(self.layer(x).flatten(1))


class Normalized(nn.Module):
    """A network that normalizes by the images that it is shown, and keeps their mean or not."""

    def __init__(self, keeps):
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))
        self.keeps = keeps

    def forward(self, x):
        if self.keeps:
            self.seen = x.mean()
        return (x - x.mean()).flatten(1)[:, :2]


def test_dropout_that_stays_on_is_told():
    (warning,) = steadiness_warnings(Stubborn(nn.Dropout, 0.5), IMAGES, "m")
    assert "two passes over the same 8 images differ" in warning and "dropout" in warning


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (Normalized(True), r"m answers an image otherwise alone.*logit \(seen changed meanwhile\)"),
        (Normalized(False), r"m answers an image otherwise alone than among 8 images, by [^(]*:"),
    ],
)
def test_answers_that_depend_on_the_other_images_are_refused(model, says):
    with pytest.raises(GauntletError, match=says):
        steadiness_warnings(model, IMAGES, "m")


def test_batch_norm_that_no_eval_reaches_is_put_in_eval_mode():
    model = Stubborn(nn.BatchNorm2d, 1)
    before = model.layer.running_mean.clone()
    assert steadiness_warnings(model, IMAGES, "m") == []
    assert torch.equal(model.layer.running_mean, before) and model.layer.training


@pytest.mark.parametrize("settings", [tiny.CNN, tiny.NORMED])
def test_nothing_is_said_of_a_network_as_it_should_be(settings):
    model = tiny.model(settings)
    model(IMAGES)
    assert steadiness_warnings(model, IMAGES, "m") == []
    assert steadiness_warnings(model, IMAGES[:1], "m") == []
