"""Training with channels last in memory: the same training but for the last bits."""

import pytest
import torch

from gauntlet.training.loop import fit
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
