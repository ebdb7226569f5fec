"""Files that are network and weights at once: TorchScript, torch.export and ONNX."""

import pytest
import torch
from torch import nn

from gauntlet.core.batched_model import BatchedModel
from gauntlet.models import build_model, evaluating
from gauntlet.models.preact_resnet18 import preact_resnet18
from tests.helpers.network_files import CLASSES, IMAGES, SHAPE, conv_net, written

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.jit is deprecated


class Fixed(nn.Module):
    """A network that takes two images at a time and no other number."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(192, CLASSES)

    def forward(self, x):
        return self.linear(nn.functional.gelu(x).view(2, 192))


class Mixed(nn.Module):
    """What classifiers use besides plain layers."""

    def __init__(self):
        super().__init__()
        self.conv, self.depth = nn.Conv2d(3, 6, 3, 2, 1), nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.norm, self.linear = nn.LayerNorm(6), nn.Linear(6, CLASSES)
        self.slope, self.act = nn.PReLU(6), nn.Hardswish()

    def forward(self, x):
        x = self.slope(self.conv(x).clamp(-1, 1))
        first, last = (self.depth(x) + x).chunk(2, 1)
        x = torch.cat([last, nn.functional.pad(first, (1, 1))[..., 1:-1]], 1)
        x = self.norm(self.act(x).permute(0, 2, 3, 1)).mean((1, 2))
        return self.linear(x.reshape(x.size(0), -1)).log_softmax(1)


NETS = {
    "plain": conv_net,
    "residual": lambda: preact_resnet18(SHAPE, CLASSES, width=2),
    "mixed": Mixed,
    "fixed": Fixed,
}


@pytest.mark.parametrize("kind", ["torchscript", "exported", "onnx"])
@pytest.mark.parametrize("name", NETS)
def test_a_file_answers_and_slopes_as_its_network_does(name, kind, tmp_path):
    net = NETS[name]().eval().requires_grad_(False)
    content = written(kind, net, tmp_path, name != "fixed")
    model = build_model({"arch": kind, "mean": 0.5}, SHAPE, CLASSES, 0, content)
    parts = [net(torch.cat([pair, pair])[:2] - 0.5)[: len(pair)] for pair in IMAGES.split(2)]
    with evaluating(model):
        logits = model(IMAGES)
        torch.testing.assert_close(logits, torch.cat(parts), rtol=1e-4, atol=1e-5)
        slope, _, _ = BatchedModel(model).gradient(IMAGES, lambda logits, rows: logits[:, 0])
    leaf = (IMAGES[:2] - 0.5).requires_grad_()
    (own,) = torch.autograd.grad(net(leaf)[:, 0].sum(), leaf)
    torch.testing.assert_close(slope[:2], own, rtol=1e-3, atol=1e-5)
    assert not any(weight.requires_grad for weight in model.parameters())
    assert model.to(memory_format=torch.channels_last)(IMAGES).shape == (11, CLASSES)


@pytest.mark.parametrize("name", ["plain", "fixed"])
def test_onnx_without_gradients_answers_alike(name, tmp_path):
    net = NETS[name]().eval()
    content = written("onnx", net, tmp_path, name != "fixed")
    settings = {"arch": "onnx", "gradients": False}
    asked = build_model(settings, SHAPE, CLASSES, 0, content)
    rebuilt = build_model({"arch": "onnx"}, SHAPE, CLASSES, 0, content)
    torch.testing.assert_close(asked(IMAGES), rebuilt(IMAGES), rtol=1e-4, atol=1e-5)
    assert not asked(IMAGES.clone().requires_grad_()).requires_grad


def test_an_onnx_chain_becomes_plain_layers(tmp_path):
    content = written("onnx", conv_net().eval(), tmp_path, True)
    network = build_model({"arch": "onnx"}, SHAPE, CLASSES, 0, content).network
    kinds = [type(layer) for layer in network]
    assert isinstance(network, nn.Sequential)
    assert kinds[:1] == [nn.Conv2d] and kinds[-1] is nn.Linear and nn.ReLU in kinds
