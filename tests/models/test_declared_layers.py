"""Networks declared layer by layer compute what PyTorch's layers do."""

import pytest
import torch
from torch import nn

from gauntlet.core.errors import GauntletError
from gauntlet.models import build_model
from gauntlet.models.declared import MAKERS
from tests.helpers.network_files import CLASSES, IMAGES, SHAPE

BODY = [
    {"layer": "conv2d", "channels": 4, "kernel": [3, 3], "stride": 1, "padding": 1}
    | {"dilation": 1, "groups": 1, "bias": False},
    {"layer": "batch_norm2d", "epsilon": 1e-3},
]
SIDE = [
    {"layer": "conv2d", "channels": 4, "kernel": 1, "stride": 1, "padding": 0}
    | {"dilation": 1, "groups": 1, "bias": True}
]
HEAD = [{"layer": "flatten"}, {"layer": "linear", "features": CLASSES, "bias": True}]
POOL = {"kernel": 3, "stride": 2, "padding": 1}


def test_declared_layers_compute_what_pytorchs_do():
    residual = {"layer": "residual", "layers": BODY, "shortcut": SIDE}
    plain = {"layer": "residual", "layers": [{"layer": "tanh"}], "shortcut": []}
    layers = [residual, plain, {"layer": "max_pool2d", **POOL}, {"layer": "avg_pool2d", **POOL}]
    layers += [{"layer": "elu", "alpha": 0.5}, {"layer": "leaky_relu", "slope": 0.2}]
    layers += [{"layer": "dropout", "rate": 0.5}, {"layer": "adaptive_avg_pool2d", "size": [2, 1]}]
    layers += [{"layer": name} for name in ("relu", "gelu", "silu", "sigmoid", "softplus")] + HEAD
    network = build_model({"arch": "declared", "layers": layers}, SHAPE, CLASSES, 0).network.eval()
    assert {layer["layer"] for layer in [*layers, *BODY, *plain["layers"]]} == MAKERS.keys()

    block, act = network[0], nn.functional
    conv, norm = block.body
    x = norm(act.conv2d(IMAGES, conv.weight, padding=1)) + block.shortcut[0](IMAGES)
    assert norm.eps == 1e-3 and conv.bias is None
    x = act.avg_pool2d(act.max_pool2d(x + x.tanh(), 3, 2, 1), 3, 2, 1)
    x = act.adaptive_avg_pool2d(act.leaky_relu(act.elu(x, 0.5), 0.2), (2, 1))
    x = act.softplus(act.silu(act.gelu(x.relu())).sigmoid()).flatten(1)
    torch.testing.assert_close(network(IMAGES), network[-1](x))


def test_declared_layers_are_checked_at_the_jobs_beginning_too():
    with pytest.raises(GauntletError, match=r"layers\[0\] \(linear\).*3x8x8.*flatten first"):
        build_model({"arch": "declared", "layers": HEAD[1:]}, SHAPE, CLASSES, 0)
    with pytest.raises(GauntletError, match="5 values.*7 classes"):
        build_model({"arch": "declared", "layers": HEAD}, SHAPE, 7, 0)
