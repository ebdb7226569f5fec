"""A look at a model from outside before it is attacked, and what its record says."""

import logging

import pytest
import torch
from torch import nn

from gauntlet.core.errors import GauntletError
from gauntlet.models import build_model
from gauntlet.models.external import bundle
from gauntlet.stages.import_model import import_weights
from gauntlet.stages.import_record import report
from tests.helpers import tiny

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.jit is deprecated


class Looks(nn.Module):
    """Tells a bright left from a bright right half, of images in a range."""

    def __init__(self, trick=None, scale=1.0):
        super().__init__()
        self.trick, self.scale = trick, scale

    def forward(self, x):
        x = x / self.scale
        if self.trick == "detach":
            x = x.detach()
        if self.trick == "zero":
            x = x.detach() + 0 * x
        left, right = x[..., :4].mean((1, 2, 3)), x[..., 4:].mean((1, 2, 3))
        logits = torch.stack([left, right], 1)
        logits = logits * torch.nan if self.trick == "nan" else logits
        return logits.repeat(1, 2) if self.trick == "four" else logits


PART = tiny.part(60)


def look(model, tmp_path, expected=None, more=None, **settings):
    """Import a model's file as TorchScript and look at it; gives the record."""
    path = tmp_path / "net.ts"
    torch.jit.trace(model, PART.images[:2], check_trace=False).save(str(path))
    settings = {"arch": "torchscript"} | settings
    spec = {"model": settings, "name": "net.ts", "sha256": None, "seed": 0, "batch": 32}
    spec |= {"expected_clean_accuracy": expected} | (more or {})
    given = import_weights(spec, tiny.SHAPE, 2, str(path))
    made = build_model(settings, tiny.SHAPE, 2, 0, bundle.unpack(given.state, "x"))
    return report(spec, given, made, PART.images, PART.labels, 2)


def test_a_good_model_gets_no_warning_and_its_record_says_what_it_is(tmp_path):
    record = look(Looks(), tmp_path, 1.0)
    assert record["warnings"] == [] and record["validation_clean"] == 1.0
    assert (record["selection"], record["epochs"]) == ("as_given", 0)
    assert len(record["file"]["sha256"]) == 64 and record["file"]["arch"] == "torchscript"


class Threshold(Looks):
    """Right only for images in [0, 255]: below 100 it sees the left half alone."""

    def forward(self, x):
        return super().forward(torch.where(x.amax((1, 2, 3), keepdim=True) > 2, x, -x))


def test_wrong_settings_are_told_with_better_ones(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "gauntlet"):
        record = look(Threshold(), tmp_path, 0.99)
    (message,) = record["warnings"]
    assert (
        "near chance (50.0 %)" in message
        and "input_range: [0, 255]" in message
        and "100.0 %" in message
    )
    assert message in caplog.text
    assert look(Threshold(), tmp_path, 0.99, input_range=[0, 255])["warnings"] == []


@pytest.mark.parametrize(
    ("trick", "says"),
    [("detach", "lets no gradient flow.*gradients: false"), ("nan", "are not finite")]
    + [("four", r"answers 2 images with \[2, 4\]; the data have 2 classes")],
)
def test_a_model_that_cannot_be_attacked_is_refused(trick, says, tmp_path):
    with pytest.raises(GauntletError, match=says):
        look(Looks(trick), tmp_path)


def test_a_model_without_a_gradient_is_named_and_may_be_audited(tmp_path):
    spec = {"called": "hidden", "audited": True}
    with pytest.raises(GauntletError, match=r"The model 'hidden' \(\S+\) lets no gradient flow"):
        look(Looks("detach"), tmp_path, more=spec | {"audited": False})
    (warning,) = look(Looks("detach"), tmp_path, more=spec)["warnings"]
    assert "black box" in warning


def test_gradients_are_looked_at_unless_they_are_not_wanted(tmp_path):
    assert "gradients of all 32 images are zero" in look(Looks("zero"), tmp_path)["warnings"][0]
    assert look(Looks("detach"), tmp_path, gradients=False)["warnings"] == []
