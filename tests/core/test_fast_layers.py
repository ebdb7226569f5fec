"""Faster layers step aside where PyTorch transforms, compiles or holds values in its own way."""

import pytest
import torch
from torch import nn
from torch.utils import mkldnn

from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.fast_layers import FastLayers

SHAPE = (3, 32, 32)


def _net(channels: int = 8) -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, channels, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(channels * 256, 10)).eval()


def _augmented(net):
    return lambda images: torch.func.vmap(net)(torch.stack([images, images.flip(3)])).mean(0)


def _ensemble(net):
    nets = [net, _net()]
    parameters, buffers = torch.func.stack_module_state(nets)

    def answer(own, held, images):
        return torch.func.functional_call(nets[0], (own, held), (images,))

    def model(images):
        return torch.func.vmap(answer, (0, 0, None))(parameters, buffers, images).mean(0)

    return model


def _purified(net):
    def model(images):
        down = torch.func.grad(lambda moved: net(moved).logsumexp(1).sum())(images)
        return net(images - 0.1 * down)

    return model


@pytest.mark.parametrize("make", [_augmented, _ensemble, _purified])
def test_models_that_transform_functions_answer_and_have_gradients(make):
    model = make(_net())
    images = torch.rand(6, *SHAPE, generator=torch.Generator().manual_seed(1))
    batched = BatchedModel(model, 8)
    assert torch.allclose(batched(images), model(images).detach(), atol=1e-5)
    leaf = images.clone().requires_grad_()
    (plain,) = torch.autograd.grad(model(leaf).square().sum(), leaf)
    found = batched.gradient(images, lambda logits, rows: logits.square().sum(1))[0]
    assert torch.allclose(found, plain, atol=1e-4)


def test_forward_mode_is_pytorchs_own():
    net, images = _net(), torch.rand(2, *SHAPE)
    plain = torch.func.jvp(net, (images,), (images,))
    with FastLayers():
        found = torch.func.jvp(net, (images,), (images,))
        with torch.autograd.forward_ad.dual_level():
            dual = net(torch.autograd.forward_ad.make_dual(images, images))
            told = torch.autograd.forward_ad.unpack_dual(dual).tangent
    for mine in (found[1], told):
        assert torch.allclose(mine, plain[1], atol=1e-5)


def test_a_compiled_model_stays_one_graph():
    graphs = []

    def count(graph, inputs):
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    compiled = torch.compile(_net(), backend=count)
    BatchedModel(compiled, 8)(torch.rand(8, *SHAPE))
    assert len(graphs) == 1


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="PyTorch has no MKL-DNN here")
def test_values_of_another_layout_are_left_to_pytorch():
    net, images = nn.Sequential(*_net()[:2]), torch.rand(2, *SHAPE)
    plain = net(images)
    opaque = mkldnn.to_mkldnn(net)
    with FastLayers(), torch.no_grad():
        assert torch.allclose(opaque(images.to_mkldnn()).to_dense(), plain, atol=1e-5)
