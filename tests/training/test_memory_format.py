"""Training with channels last in memory: the same training but for the last bits."""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from gauntlet.core.fast_layers import FastLayers
from gauntlet.core.input_grad import for_weights
from gauntlet.models import Classifier
from gauntlet.models.article_cnn import article_cnn
from gauntlet.training.loop import Part, fit
from gauntlet.training.memory_format import lay_out
from tests.helpers import tiny

LAST = {"memory_format": "channels_last"}


def _trained(defense: str, tmp_path=None, **change):
    train, held = tiny.part(48), tiny.part(16, 1)
    spec, model = tiny.spec(defense, **change), tiny.model()
    outcome = fit(model, spec, train, held, keep=tmp_path, **tiny.given(spec, train))
    return outcome, model


@pytest.mark.parametrize("defense", ["adversarial", "n_fgsm", "gradalign", "crown_ibp"])
def test_it_trains_to_the_same_weights_and_gives_them_contiguous(defense):
    change = {"optimizer": "sgd", "ramp": 0.5}
    plain, _ = _trained(defense, **change)
    found, model = _trained(defense, **change, **LAST)
    assert model.network[3].weight.is_contiguous(memory_format=torch.channels_last)
    for name, value in found.last.items():
        assert value.is_contiguous()
        assert torch.allclose(value, plain.last[name], atol=2e-3), name


def test_the_same_spec_gives_the_same_bytes_in_lower_precision():
    first, second = (_trained("adversarial", **LAST, precision="bfloat16")[0] for _ in range(2))
    assert first.history == second.history
    assert all(torch.equal(value, second.last[name]) for name, value in first.last.items())


def test_contiguous_weights_stay_as_they_are():
    model = tiny.model()
    lay_out(model, "contiguous")
    assert all(weight.is_contiguous() for weight in model.parameters())


class _Recomputing(nn.Module):
    """A network that computes its first layers again in the backward pass."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.MaxPool2d(2), nn.ReLU())
        self.last = nn.Linear(16 * 16, 2)

    def forward(self, images):
        kept = checkpoint(self.first, images, use_reentrant=False)
        return self.last(kept.flatten(1))


@pytest.mark.parametrize("memory_format", ["contiguous", "channels_last"])
def test_a_network_that_recomputes_its_layers_can_be_trained(memory_format):
    torch.manual_seed(0)
    model, train = _Recomputing(), tiny.part(32)
    before = model.first[0].weight.detach().clone()
    change = {"memory_format": memory_format, "batch": 32, "epochs": 1}
    fit(model, tiny.spec("adversarial", **change), train, tiny.part(16, 1))
    assert not torch.equal(model.first[0].weight, before)
    with FastLayers(for_weights):
        loss = model(train.images).square().sum()
    loss.backward()  # after the mode


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 12, 12), (3, 12, 12)])
@pytest.mark.parametrize("defense", ["standard", "adversarial"])
def test_training_keeps_pytorchs_own_bits_unless_told(monkeypatch, shape, defense):
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
        model.to(memory_format=torch.channels_last)  # as a study's stages lay models out
        torch.manual_seed(0)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
        return fit(model, spec, part, part).last

    fast = weights()
    monkeypatch.setattr("gauntlet.training.step.FastLayers", Own)
    plain = weights()
    assert all(torch.equal(value, plain[name]) for name, value in fast.items())
