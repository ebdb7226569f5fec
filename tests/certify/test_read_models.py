"""Models in odd states and of odd make: what is read of them is what they compute."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from gauntlet.certify._network import evaluate, follow, read_network
from gauntlet.certify.crown import crown
from gauntlet.certify.ibp import ibp
from gauntlet.core.errors import Uncertifiable
from tests.certify.fuzz import descended


class _Branch(nn.Module):
    """A branch that is reached through a list or a keyword."""

    def __init__(self, how):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.c, self.how = (
            nn.Linear(64, 10),
            nn.Linear(64, 10),
            nn.Linear(64, 5),
            how,
        )

    def forward(self, x):
        flat = x.flatten(1)
        if self.how == "cat":
            return 0.05 * self.a(flat) + torch.cat([self.c(flat), self.c(-1 * flat)], 1)
        return 0.05 * self.a(flat) + 1.0 * self.b(input=flat)


class _Leaky(nn.Module):
    def __init__(self, slope, layer):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.slope = nn.Linear(64, 64), nn.Linear(64, 10), slope
        self.bend = nn.LeakyReLU(slope) if layer else None

    def forward(self, x):
        hidden = self.a(x.flatten(1))
        return self.b(self.bend(hidden) if self.bend else F.leaky_relu(hidden, self.slope))


CASES = [lambda: _Branch("cat"), lambda: _Branch("keyword")]
CASES += [
    lambda slope=slope, layer=layer: _Leaky(slope, layer)
    for slope in (-1.0, -0.5, 0.5, 3.0)
    for layer in (False, True)
]


@pytest.mark.parametrize("make", CASES)
@pytest.mark.parametrize("prove", [ibp, crown])
def test_descent_breaks_nothing_that_was_falsely_proven_before(make, prove):
    model, stream = make().eval(), torch.Generator().manual_seed(1)
    images = torch.rand(12, 1, 8, 8, generator=stream)
    labels = model(images).argmax(1)
    for batch in (1, 12):
        found = prove(model, images, labels, eps=0.05, radius=True, ceiling=0.2, batch=batch)
        assert (found.radius > 0).any()
        for row in (found.radius > 0).nonzero().flatten().tolist():
            case = (images[row], int(labels[row]), "linf", float(found.radius[row]))
            assert (model(descended(model, *case, stream)).argmax(1) == labels[row]).all()


@pytest.mark.parametrize(
    "change",
    [
        lambda layer: layer.register_forward_hook(lambda module, given, result: result * 2),
        lambda layer: layer.register_forward_pre_hook(lambda module, given: (given[0] * 2,)),
        lambda layer: setattr(layer, "forward", lambda given: given),
    ],
)
def test_hooks_and_replaced_passes_are_refused(change):
    layer = nn.ReLU()
    change(layer)
    model = nn.Sequential(nn.Flatten(), layer, nn.Linear(24, 3)).eval()
    with pytest.raises(Uncertifiable, match="1: ReLU"):
        ibp(model, torch.rand(1, 2, 3, 4), torch.zeros(1, dtype=torch.int64), eps=0.1)


def test_dropout_that_stays_in_training_is_refused():
    model = nn.Sequential(nn.Flatten(), nn.Dropout(1e-6), nn.Linear(24, 3)).eval()
    model[1].train()
    with pytest.raises(Uncertifiable, match="'1: Dropout' in training"):
        ibp(model, torch.rand(1, 2, 3, 4), torch.zeros(1, dtype=torch.int64), eps=0.1)


def test_subclasses_of_known_layers_are_not_taken_for_them():
    class Doubled(nn.ReLU):
        def forward(self, x):
            return super().forward(2 * x)

    images = torch.rand(2, 2, 3, 4)
    model = nn.Sequential(nn.Flatten(), Doubled(), nn.Linear(24, 3)).eval()
    assert torch.allclose(evaluate(read_network(model, images), images), model(images))


def test_parametrized_weights_are_read_as_they_are():
    model = nn.Sequential(nn.Flatten(), parametrizations.weight_norm(nn.Linear(24, 3))).eval()
    images = torch.rand(2, 2, 3, 4)
    assert torch.allclose(evaluate(read_network(model, images), images), model(images))
    labels = model(images).argmax(1)
    assert ibp(model, images, labels, eps=1e-5).certified.all()


def test_default_arguments_and_modes_are_the_models_own():
    class Optional(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.drop = nn.Linear(24, 3), nn.Dropout(0.5)

        def forward(self, x, features=False):
            hidden = self.drop(F.dropout(x.flatten(1), 0.5, self.training))
            return hidden if features else self.layer(hidden)

    model = Optional().train()
    nodes = follow(model, torch.rand(1, 2, 3, 4))
    assert model.training and model.drop.training and nodes[-1].shape == (3,)


def test_weights_computed_in_the_forward_pass_follow_training():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(3, 24))
            self.register_buffer("mask", (torch.rand(3, 24) > 0.5).float())

        def forward(self, x):
            return F.linear(x.flatten(1), self.weight * self.mask)

    model, images = Masked(), torch.rand(2, 2, 3, 4)
    nodes = follow(model, images[:1])
    with torch.no_grad():
        model.weight.mul_(-2)
    assert torch.allclose(evaluate(nodes, images), model(images))
    evaluate(nodes, images).sum().backward()
    assert bool((model.weight.grad != 0).any())
