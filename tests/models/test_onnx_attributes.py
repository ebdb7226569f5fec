"""Attributes of ONNX files: followed as ONNX Runtime follows them, or refused by name."""

import pytest
import torch

from gauntlet.core.errors import GauntletError
from gauntlet.models import build_model
from gauntlet.models._onnx_convert import LAYERS, OPERATIONS
from tests.helpers.onnx_files import onnx_file

SHAPE = (3, 8, 8)
IMAGES = torch.rand(7, *SHAPE, generator=torch.Generator().manual_seed(3))
DRAWN = torch.Generator().manual_seed(0)


def drawn(*shape):
    return torch.randn(*shape, generator=DRAWN)


CONV = ("Conv", ["x", "cw", "cb"], ["h0"], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]})
HEAD = [
    ("GlobalAveragePool", ["h"], ["g"]),
    ("Flatten", ["g"], ["f"]),
    ("Gemm", ["f", "W", "B"], ["y"], {"transB": 1}),
]
HELD = [("cw", drawn(4, 3, 3, 3)), ("cb", drawn(4)), ("W", drawn(10, 4)), ("B", drawn(10))]
STATISTICS = [("s", drawn(4)), ("b", drawn(4)), ("m", drawn(4)), ("v", drawn(4).abs() + 0.5)]


def around(node, held=(), opset=17):
    """Put one step, from h0 to h, between a convolution and a classifier's head."""
    return onnx_file([CONV, node, *HEAD], [*HELD, *held], opset=opset)


def step(operator, settings, *others):
    return (operator, ["h0", *others], ["h"], settings)


def answers(content, classes=10, **settings):
    return build_model({"arch": "onnx", **settings}, SHAPE, classes, 0, content).eval()(IMAGES)


SAME = {
    "Selu": around(step("Selu", {"alpha": 2.0, "gamma": 1.5})),
    "Selu, default": around(step("Selu", {})),
    "Mod, sign of the dividend": around(step("Mod", {"fmod": 1}, "d"), [("d", torch.tensor(1.5))]),
    "HardSigmoid": around(step("HardSigmoid", {"alpha": 0.3, "beta": 0.4})),
    "LeakyRelu": around(step("LeakyRelu", {"alpha": 0.3})),
    "Elu": around(step("Elu", {"alpha": 0.3})),
    "Celu": around(step("Celu", {"alpha": 0.3})),
    "MaxPool": around(step("MaxPool", {"kernel_shape": [2, 2], "dilations": [2, 3]})),
    "MaxPool, storage order": around(step("MaxPool", {"kernel_shape": [2, 2], "storage_order": 1})),
    "AveragePool": around(
        step("AveragePool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1})
    ),
    "AveragePool, dilations of one": around(
        step("AveragePool", {"kernel_shape": [2, 2], "dilations": [1, 1]}), opset=19
    ),
    "BatchNormalization": around(
        step("BatchNormalization", {"epsilon": 0.1, "momentum": 0.5}, "s", "b", "m", "v"),
        STATISTICS,
    ),
    "Softmax, along an axis": around(step("Softmax", {"axis": 1})),
    "Softmax, old": around(step("Softmax", {"axis": 2}), opset=11),
    "ReduceMean": around(step("ReduceMean", {"axes": [3], "keepdims": 1})),
    "ReduceSum, of nothing": around(step("ReduceSum", {"noop_with_empty_axes": 1})),
    "Gelu": around(step("Gelu", {"approximate": "tanh"}), opset=20),
    "Dropout": around(step("Dropout", {"seed": 7})),
    "Gemm, all": onnx_file(
        [
            ("Flatten", ["x"], ["f"]),
            ("Gemm", ["f", "W", "B"], ["y"], {"alpha": 0.5, "beta": 2.0}),
        ],
        [("W", drawn(192, 10)), ("B", drawn(10))],
    ),
    "Gemm, of the weights": onnx_file(
        [
            ("Flatten", ["x"], ["f"]),
            ("Transpose", ["f"], ["t"]),
            ("Gemm", ["t", "W"], ["y"], {"transA": 1}),
        ],
        [("W", drawn(192, 10))],
    ),
    "Gemm, adds a result": onnx_file(
        [
            ("Flatten", ["x"], ["f"]),
            ("Gemm", ["f", "W"], ["z"]),
            ("Gemm", ["f", "W", "z"], ["y"], {"beta": 0.5}),
        ],
        [("W", drawn(192, 10))],
    ),
    "MatMul, of the weights by a result": onnx_file(
        [("Flatten", ["x"], ["f"]), ("Transpose", ["f"], ["t"]), ("MatMul", ["W", "t"], ["u"])]
        + [("Transpose", ["u"], ["y"])],
        [("W", drawn(10, 192))],
    ),
    "half precision": onnx_file(
        [("Cast", ["x"], ["h"], {"to": 10, "saturate": 1}), ("Flatten", ["h"], ["f"])]
        + [("MatMul", ["f", "W"], ["z"]), ("Cast", ["z"], ["y"], {"to": 1})],
        [("W", drawn(192, 10).half())],
        opset=19,
    ),
}


@pytest.mark.parametrize("case", SAME)
def test_an_attribute_is_followed_as_onnx_runtime_follows_it(case):
    ours, theirs = answers(SAME[case]), answers(SAME[case], gradients=False)
    share = (ours - theirs).abs().max() / theirs.abs().max()
    assert share < (1e-3 if case == "half precision" else 1e-5)


TRAINED = step("BatchNormalization", {"training_mode": 1}, "s", "b", "m", "v")
TRAINED = (TRAINED[0], TRAINED[1], ["h", "rm", "rv"], TRAINED[3])
REFUSED = {
    "AveragePool, dilations": (
        around(step("AveragePool", {"kernel_shape": [2, 2], "dilations": [3, 3]}), opset=19),
        r"AveragePool\) sets dilations to \[3, 3\]; known is 1",
    ),
    "BatchNormalization in train mode": (around(TRAINED, STATISTICS), "is in train mode"),
    "Dropout in train mode": (
        around(
            step("Dropout", {}, "r", "t"), [("r", torch.tensor(0.5)), ("t", torch.tensor(True))]
        ),
        r"Dropout\) is in train mode",
    ),
    "auto_pad": (around(step("MaxPool", {"kernel_shape": [2, 2], "auto_pad": "BOTH"})), "auto_pad"),
    "num_outputs": (
        around(("Split", ["h0"], ["h", "i"], {"axis": 1, "num_outputs": 4}), opset=18),
        "num_outputs to 4; it has 2",
    ),
    "old opset": (around(step("Relu", {}), opset=6), "written in opset 6; known are 7 and later"),
    "LayerNormalization, type": (
        around(step("LayerNormalization", {"stash_type": 16}, "n"), [("n", torch.ones(8))]),
        r"sets stash_type to 16, which the conversion does not follow \(known is 1\)",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_attribute_that_is_not_followed_is_refused_by_name(case):
    content, says = REFUSED[case]
    with pytest.raises(GauntletError, match=says):
        answers(content)


SHAPES = [(), ("d",)]  # further inputs with which an operator is tried


def built(operator, others, **settings):
    """Tell how a step of one operator is refused: "" if it is built."""
    try:
        content = around(step(operator, settings, *others), [("d", torch.tensor(2.0))])
        build_model({"arch": "onnx"}, SHAPE, 10, 0, content)
    except GauntletError as error:
        return str(error)
    return ""


def test_no_operator_passes_over_an_attribute_that_it_does_not_know():
    pairs = [(o, others) for o in sorted(OPERATIONS | LAYERS) for others in SHAPES]
    right = [pair for pair in pairs if not built(*pair)]
    assert len({operator for operator, _ in right}) > 35
    for pair in right:
        assert "sets their_own to 3, which the conversion" in built(*pair, their_own=3), pair
