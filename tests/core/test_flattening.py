"""Flattening with channels last in memory: PyTorch's numbers, and a gradient in the same format."""

import pytest
import torch
from torch import nn

from gauntlet.core import flattening
from gauntlet.core.fast_layers import FastLayers

CALLS = {
    "layer": nn.Flatten(),
    "function": lambda x: torch.flatten(x, 1),
    "method": lambda x: x.flatten(1, 3),
    "keyword": lambda x: torch.flatten(input=x, start_dim=1),
}


@pytest.mark.parametrize("name", CALLS)
def test_values_and_gradients_are_those_of_pytorch(name):
    images = torch.rand(3, 4, 5, 6).contiguous(memory_format=torch.channels_last).requires_grad_()
    outer = torch.rand(3, 120)
    with FastLayers():
        found = CALLS[name](images)
    plain = CALLS[name](images)
    assert torch.equal(found, plain)
    seen = [torch.autograd.grad(values, images, outer)[0] for values in (found, plain)]
    assert torch.equal(*seen)
    assert [one.is_contiguous(memory_format=torch.channels_last) for one in seen] == [True, False]


def test_other_values_are_left_to_pytorch():
    last = torch.rand(3, 4, 5, 6).contiguous(memory_format=torch.channels_last)
    assert flattening.flattened(last, 1) is None  # no gradient is asked for
    assert flattening.flattened(torch.rand(3, 4, 5, 6, requires_grad=True), 1) is None
    assert flattening.flattened(last.requires_grad_(), 2) is None
    with FastLayers():
        assert torch.flatten(last, 2).shape == (3, 4, 30)
        assert torch.flatten(last).shape == (360,)
