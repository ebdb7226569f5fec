"""Operators of ONNX files compute what PyTorch and ONNX Runtime do."""

import pytest
import torch
from torch import nn

from gauntlet.models import build_model
from tests.helpers.network_files import IMAGES, SHAPE
from tests.helpers.onnx_files import LAST, WEIGHT, onnx_file

PADS = ("pads", torch.tensor([0, 0, 0, 0, 0, 0, 1, 2]))


@pytest.mark.parametrize(
    ("nodes", "constants", "answer"),
    [
        ([("Sub", ["x", "c"], ["h"]), LAST], [("c", torch.ones(1))], lambda x: x - 1),
        ([("Sub", ["c", "x"], ["h"]), LAST], [("c", torch.ones(1))], lambda x: 1 - x),
        (
            [("Conv", ["x", "w"], ["h"], {"auto_pad": "SAME_UPPER", "strides": [2, 2]}), LAST],
            [WEIGHT],
            lambda x: nn.functional.conv2d(nn.functional.pad(x, (0, 1, 0, 1)), WEIGHT[1], stride=2),
        ),
        (
            [("Pad", ["x", "pads"], ["h"]), LAST],
            [PADS],
            lambda x: nn.functional.pad(x, (0, 2, 0, 1)),
        ),
        (
            [("Clip", ["x", "", "c"], ["h"]), LAST],
            [("c", torch.tensor(0.5))],
            lambda x: x.clamp(max=0.5),
        ),
        (
            [
                ("Shape", ["x"], ["s"]),
                ("Gather", ["s", "i"], ["b"]),
                ("Unsqueeze", ["b", "i"], ["u"]),
            ]
            + [("Concat", ["u", "m"], ["t"], {"axis": 0}), ("Reshape", ["x", "t"], ["y"])],
            [("i", torch.tensor(0)), ("m", torch.tensor([-1]))],
            lambda x: x,
        ),
        (
            [("Slice", ["x", "a", "b", "k"], ["h"]), LAST],
            [("a", torch.tensor([-3])), ("b", torch.tensor([99])), ("k", torch.tensor([2]))],
            lambda x: x[:, :, -3:],
        ),
        (
            [("Slice", ["x", "a", "b", "k", "s"], ["h"]), LAST],
            [("a", torch.tensor([-1])), ("b", torch.tensor([-99])), ("k", torch.tensor([-1]))]
            + [("s", torch.tensor([-2]))],
            lambda x: x.flip(3)[..., ::2],
        ),
        (
            [("ReduceMean", ["x"], ["h"], {"axes": [2], "keepdims": 0}), LAST],
            [],
            lambda x: x.mean(2),
        ),
    ],
    ids=["sub", "sub constant", "same pad", "pad", "clip", "reshape", "slice", "back", "mean"],
)
def test_operators_agree_with_pytorch_and_with_onnx_runtime(nodes, constants, answer):
    content = onnx_file(nodes, constants)
    expected = answer(IMAGES).flatten(1)
    for gradients in (True, False):
        settings = {"arch": "onnx", "gradients": gradients}
        found = build_model(settings, SHAPE, expected.shape[1], 0, content).eval()(IMAGES)
        torch.testing.assert_close(found, expected)


def test_networks_that_take_channels_last_are_shown_that():
    wide = (3, 6, 4)
    images = torch.rand(3, *wide)
    content = onnx_file([("Flatten", ["x"], ["y"])], shape=("n", 6, 4, 3))
    for gradients in (True, False):
        model = build_model({"arch": "onnx", "gradients": gradients}, wide, 72, 0, content)
        assert torch.equal(model(images), images.permute(0, 2, 3, 1).flatten(1))
