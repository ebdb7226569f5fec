"""Files that were written in train mode are refused; in eval mode they are taken."""

import io

import pytest
import torch
from torch import nn

from gauntlet.core.errors import GauntletError
from gauntlet.models import build_model

SHAPE, CLASSES = (1, 8, 8), 10
IMAGES = torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(0))

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.jit is deprecated


class Functional(nn.Module):
    """Dropout as a function, in train mode whatever the module's mode is."""

    def __init__(self, share):
        super().__init__()
        self.share, self.body = share, nn.Linear(64, CLASSES)

    def forward(self, x):
        return self.body(nn.functional.dropout(x.flatten(1), self.share, True))


def net(norm: bool, share: float) -> nn.Module:
    layers = [nn.Conv2d(1, 4, 3), *([nn.BatchNorm2d(4)] if norm else []), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*layers, nn.Dropout(share), nn.Linear(144, CLASSES))


def traced(model, stream):
    torch.jit.save(torch.jit.trace(model, IMAGES, check_trace=False), stream)


def scripted(model, stream):
    torch.jit.save(torch.jit.script(model), stream)


def exported(model, stream):
    sizes = ({0: torch.export.Dim("n", min=1)},)
    torch.export.save(torch.export.export(model, (IMAGES,), dynamic_shapes=sizes), stream)


def decomposed(model, stream):
    torch.export.save(torch.export.export(model, (IMAGES,)).run_decompositions(), stream)


FILES = {
    "traced": ("torchscript", traced),
    "scripted": ("torchscript", scripted),
    "exported": ("exported", exported),
    "decomposed": ("exported", decomposed),
}


def loaded(form, model):
    arch, write = FILES[form]
    stream = io.BytesIO()
    write(model, stream)
    return build_model({"arch": arch}, SHAPE, CLASSES, 0, stream.getvalue()).eval()


@pytest.mark.parametrize("form", ["traced", "exported", "decomposed"])
@pytest.mark.parametrize(
    ("model", "says"),
    [
        (net(False, 0.5).train(), "train mode .*dropout.* answers are random; call eval"),
        (net(True, 0.0).train(), "train mode .*norm.* depends on the others beside it; call eval"),
        (Functional(0.5).eval(), "train mode .*dropout.* answers are random; call eval"),
    ],
    ids=["dropout", "batch norm", "a function"],
)
def test_a_file_in_train_mode_is_refused(form, model, says):
    with pytest.raises(GauntletError, match=says):
        loaded(form, model)


@pytest.mark.parametrize("form", FILES)
@pytest.mark.parametrize(
    "model",
    [net(True, 0.5).eval(), net(False, 0.0).train(), Functional(0.0)],
    ids=["eval", "dropout of nothing", "a function"],
)
def test_a_file_in_eval_mode_is_taken(form, model):
    model.eval() if form == "scripted" else None
    torch.testing.assert_close(loaded(form, model)(IMAGES), model(IMAGES))


def test_a_script_that_has_a_mode_of_its_own_is_put_in_eval_mode():
    model = net(True, 0.5).train()
    torch.testing.assert_close(loaded("scripted", model)(IMAGES), model.eval()(IMAGES))
