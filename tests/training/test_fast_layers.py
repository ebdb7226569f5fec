"""Training with the faster layers: PyTorch's own bits, whatever the network does inside."""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from gauntlet.core.fast_layers import FastLayers
from gauntlet.models import Classifier
from gauntlet.models.article_cnn import article_cnn
from gauntlet.stages.inputs import laid_out
from gauntlet.training.loop import Part, fit
from tests.helpers import tiny


class _Recomputing(nn.Module):
    """A network that computes its first layers again in the backward pass."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.MaxPool2d(2), nn.ReLU())
        self.last = nn.Linear(16 * 16, 2)

    def forward(self, images):
        kept = checkpoint(self.first, images, use_reentrant=False)
        return self.last(kept.flatten(1))


@pytest.mark.parametrize("last", [False, True])
def test_a_network_that_recomputes_its_layers_can_be_trained(last):
    torch.manual_seed(0)
    model, train = _Recomputing(), tiny.part(32)
    model = laid_out(model) if last else model
    before = model.first[0].weight.detach().clone()
    fit(model, tiny.spec("adversarial", batch=32, epochs=1), train, tiny.part(16, 1))
    assert not torch.equal(model.first[0].weight, before)
    with FastLayers():
        loss = model(train.images).square().sum()
    loss.backward()  # after the mode


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 12, 12), (3, 12, 12)])
@pytest.mark.parametrize("defense", ["standard", "adversarial"])
def test_training_keeps_pytorchs_own_bits(monkeypatch, shape, defense):
    class Own:
        def __init__(self, convolve=None):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *problem):
            return None

    def weights():
        images = torch.rand(256, *shape, generator=torch.Generator().manual_seed(0))
        part = Part(images, torch.arange(256) % 4)
        spec = tiny.spec(defense)
        spec["training"] |= {"batch": 128, "epochs": 1}
        model = Classifier(article_cnn(shape, 4, channels=[8, 16], hidden=16), shape[0])
        model.normalize_like(images)
        model = laid_out(model)
        torch.manual_seed(0)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
        return fit(model, spec, part, part).last

    fast = weights()
    monkeypatch.setattr("gauntlet.training.step.FastLayers", Own)
    plain = weights()
    assert all(torch.equal(value, plain[name]) for name, value in fast.items())
