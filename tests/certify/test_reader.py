"""What the reader of networks knows has sound bounds; all else is refused in one sentence."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gauntlet.certify._bounds import bound
from gauntlet.certify._network import evaluate_all, follow, read_network
from gauntlet.certify._region import region
from gauntlet.certify.crown import crown
from gauntlet.certify.ibp import ibp
from gauntlet.core.errors import Uncertifiable
from tests.certify.fuzz import descended, within
from tests.helpers.steps import Step, len_of

MATRIX = torch.linspace(-1, 1, 24).view(24, 1) * torch.linspace(-2, 1, 5)
EACH = torch.linspace(-1, 1, 24).view(2, 3, 4)


KNOWN = {  # of images [N, 2, 3, 4]
    "cat": lambda s, x: torch.cat([x, -x.relu()], 1),
    "cat by keyword": lambda s, x: torch.cat(tensors=(x, 2 * x, x), dim=-1),
    "cat with a constant": lambda s, x: torch.cat([x, torch.zeros_like(x)[:, :1] + 0.3], 1),
    "concat": lambda s, x: torch.concat([x.flatten(1), x.flatten(1)], dim=1),
    "stack": lambda s, x: torch.stack([x, x.tanh()], 2),
    "clip": lambda s, x: torch.clip(x - 0.5, -0.2, 0.3),
    "clamp of one side": lambda s, x: (x - 0.5).clamp(max=0.1).clamp_min(-0.1),
    "clamp crossed": lambda s, x: x.clamp(0.7, 0.2) + x,
    "relu6": lambda s, x: F.relu6(20 * x - 5),
    "hardtanh": lambda s, x: F.hardtanh(4 * x - 2, -0.5, 0.7),
    "hardsigmoid": lambda s, x: F.hardsigmoid(9 * x - 4),
    "leaky -1.5": lambda s, x: F.leaky_relu(x - 0.5, -1.5),
    "leaky 2": lambda s, x: F.leaky_relu(x - 0.5, negative_slope=2.0),
    "sigmoid": lambda s, x: torch.sigmoid(12 * x - 5),
    "tanh": lambda s, x: (8 * x - 4).tanh(),
    "softplus": lambda s, x: F.softplus(8 * x - 4, beta=2),
    "logsigmoid": lambda s, x: F.logsigmoid(8 * x - 4),
    "elu": lambda s, x: F.elu(4 * x - 2, alpha=1.7),
    "celu": lambda s, x: F.celu(4 * x - 2, alpha=0.4),
    "selu": lambda s, x: F.selu(4 * x - 2),
    "gelu": lambda s, x: F.gelu(6 * x - 3),
    "gelu tanh": lambda s, x: F.gelu(6 * x - 3, approximate="tanh"),
    "silu": lambda s, x: F.silu(8 * x - 4),
    "abs": lambda s, x: (x - 0.5).abs() + abs(x - 0.3) + torch.abs(x - 0.2),
    "maximum": lambda s, x: torch.maximum(x, 1 - x),
    "minimum": lambda s, x: torch.minimum(x, other=x.flip(1)),
    "max of a constant": lambda s, x: torch.max(x, s.each),
    "min of a constant": lambda s, x: torch.minimum(s.each, x),
    "broadcast maximum": lambda s, x: torch.maximum(x, x.mean(1, keepdim=True)),
    "difference": lambda s, x: x - x.relu() * 0.5 - x.flip(-1),
    "difference by keyword": lambda s, x: torch.sub(x, other=x.flip(1), alpha=0.5),
    "negation": lambda s, x: -x + torch.neg(x) + x.neg(),
    "constant minus": lambda s, x: 1.0 - x,
    "scaling": lambda s, x: s.each * x / 3 + torch.mul(x, 2),
    "buffer of the forward pass": lambda s, x: x * (s.each.abs() + 1).sqrt(),
    "conv2d": lambda s, x: F.conv2d(
        x, s.parts[0].weight, bias=s.parts[0].bias, stride=(2, 1), padding=1
    ),
    "conv2d by keyword": lambda s, x: F.conv2d(
        weight=s.parts[0].weight * 2, input=x, dilation=(1, 1)
    ),
    "linear": lambda s, x: F.linear(x.flatten(1), MATRIX.t(), bias=None),
    "matmul": lambda s, x: x.flatten(1) @ MATRIX,
    "batch_norm": lambda s, x: F.batch_norm(x, s.each[0, 0, :2], s.each[0, 1, :2] + 2),
    "avg_pool2d": lambda s, x: F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False),
    "max_pool2d": lambda s, x: F.max_pool2d(x, kernel_size=2, stride=1),
    "adaptive pools": lambda s, x: F.adaptive_avg_pool2d(x, 2) + F.adaptive_max_pool2d(x, 1),
    "permute": lambda s, x: x.permute(0, 2, 3, 1) * MATRIX[:2, 0],
    "transpose": lambda s, x: torch.transpose(x, -1, -2),
    "flip": lambda s, x: torch.flip(x, dims=(1, 3)) + 2 * x,
    "index": lambda s, x: x[:, [1, 0, 0], 1:] * 2,
    "ellipsis": lambda s, x: x[..., 1] - x[..., -1],
    "view_as": lambda s, x: x.view(x.size(0), -1).view_as(x) + x,
    "squeeze": lambda s, x: x[:, :1].squeeze(1).unsqueeze(2),
    "chunk": lambda s, x: torch.chunk(x, 2, dim=1)[0] - x.chunk(2, 1)[1],
    "split": lambda s, x: x.split([1, 3], dim=3)[1],
    "pad": lambda s, x: F.pad(x, (1, -1, 2, 0), value=-0.7),
    "pad reflect": lambda s, x: F.pad(x, (1, 1, 0, 1), mode="reflect"),
    "nearest": lambda s, x: F.interpolate(x, scale_factor=2),
    "bilinear": lambda s, x: F.interpolate(x, size=(4, 3), mode="bilinear", align_corners=True),
    "dropout": lambda s, x: F.dropout(x, 0.5, training=s.training),
    "shared": lambda s, x: s.parts[0](s.parts[0](x).relu()) + s.parts[0](input=x),
    "in place": lambda s, x: (2 * x).sub_(1).mul_(3).relu_(),
}


def _model(function):
    torch.manual_seed(1)
    step = Step(function, nn.Conv2d(2, 2, 3, padding=1), each=EACH)
    width = step.eval()(torch.rand(2, 2, 3, 4)).flatten(1).shape[1]
    middle = nn.Sequential(nn.Flatten(), nn.Linear(width, 6), nn.ReLU(), nn.Linear(6, 3))
    return nn.Sequential(step, middle).eval().requires_grad_(False)


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_known_has_sound_bounds(name):
    model = _model(KNOWN[name])
    stream = torch.Generator().manual_seed(0)
    images = torch.rand(2, 2, 3, 4, generator=stream)
    nodes = read_network(model, images)
    for eps, refine in ((0.02, True), (0.4, False), (0.4, True)):
        found = bound(nodes, region(images, "linf", eps), refine=refine)
        for row in range(2):
            tried = within(images[row], "linf", eps, 500, stream)
            values = evaluate_all(nodes, tried)
            assert torch.allclose(values[-1], model(tried), atol=1e-5)
            for value, (low, high) in zip(values, found.intervals, strict=True):
                assert (value >= low[row] - 1e-5).all() and (value <= high[row] + 1e-5).all()
    labels = model(images).argmax(1)
    for prove in (ibp, crown):
        near = prove(model, images, labels, eps=1e-4, radius=True, ceiling=0.5, batch=1)
        assert near.certified.all()
        for row in range(2):
            case = (images[row], int(labels[row]), "linf", float(near.radius[row]))
            worst = model(descended(model, *case, stream)).argmax(1)
            assert (worst == labels[row]).all()


def _alias(s, x):
    kept = 2 * x
    return F.relu_(kept - 1) + F.relu_(kept) + kept


def _held(s, x):
    held = s.each + 0.0
    held = held[None].repeat(3, 1, 1, 1)
    held += x
    return held + s.each


UNKNOWN = {
    "sin": (lambda s, x: torch.sin(x), "'sin'"),
    "product": (lambda s, x: x * x.flip(1), "'mul of two layers'"),
    "quotient": (lambda s, x: x / (x + 1), "'div by a layer'"),
    "quotient from a constant": (lambda s, x: 1 / (x + 1), "'"),
    "rounding": (lambda s, x: torch.div(x, 0.3, rounding_mode="floor"), "'div that rounds'"),
    "mask": (lambda s, x: x * (x > 0.5), "'gt'"),
    "where": (lambda s, x: torch.where(x > 0.5, x, 1.0), "'gt'"),
    "max over a dimension": (lambda s, x: torch.max(x, 1)[0], "max"),
    "amax": (lambda s, x: x.amax(1), "'amax'"),
    "dropout in training": (lambda s, x: F.dropout(x), "'dropout in training'"),
    "softplus threshold": (lambda s, x: F.softplus(x, 1, 1), "softplus with beta"),
    "elu alpha": (lambda s, x: F.elu(x, -1.0), "elu with alpha"),
    "cubic": (lambda s, x: F.interpolate(x, size=(4, 4), mode="bicubic"), "mode bicubic"),
    "batch mean": (lambda s, x: x - x.mean(0), "'mean over the batch'"),
    "whole mean": (lambda s, x: x - x.mean(), "'mean over the batch'"),
    "batch flip": (lambda s, x: x.flip(0), "the batch"),
    "batch index": (lambda s, x: x[:1] + x, "the batch"),
    "mixed reshape": (lambda s, x: x.reshape(2, -1), "mixes images of a batch"),
    "shaped noise": (lambda s, x: x + 1e-7 * torch.rand_like(x), "'rand_like'"),
    "batch size": (lambda s, x: x * x.shape[0], "'mul with a value that depends on the number"),
    "batch size where nothing shows": (lambda s, x: (x - 9).relu() * x.size(0), "the number of im"),
    "from the batch size": (lambda s, x: x + torch.ones(1) / len_of(x), "number of images"),
    "filled with the batch size": (lambda s, x: x + x.new_full((1,), len_of(x)), "number of im"),
    "shape by the batch size": (
        lambda s, x: x.view(x.shape[0], x.shape[0] * 2, -1),
        "number|fails",
    ),
    "batch of constants": (lambda s, x: x + torch.eye(3)[:, :, None, None][:, :1], "to image"),
    "noise": (lambda s, x: x + 1e-7 * torch.randn(1), "random numbers"),
    "a keyword out": (lambda s, x: torch.add(x, 1.0, out=s.each), "'add with arguments"),
    "alias": (_alias, "overwritten in place"),
    "held": (_held, "image of a batch|overwritten in place"),
    "half": (lambda s, x: x.half().float(), "'half'"),
    "control flow": (lambda s, x: x if x.sum() > 0 else -x, "cannot be followed"),
    "numpy": (lambda s, x: torch.from_numpy(x.numpy()), "cannot be followed|'numpy'"),
    "one image": (lambda s, x: x.reshape(1, 2, 3, 4), "cannot be followed|mixes|not what"),
    "ceil_mode": (lambda s, x: F.max_pool2d(x, 2, ceil_mode=True), "ceil_mode"),
    "adaptive": (lambda s, x: F.adaptive_max_pool2d(x, 2), "adaptive_max_pool2d"),
    "fractional": (lambda s, x: F.max_pool1d(x.flatten(2), 2), "'"),
    "norm": (lambda s, x: F.normalize(x), "'normalize'"),
    "weight of the image": (lambda s, x: F.conv2d(x, weight=x[:1]), "batch|conv2d"),
}


def _answers(model, images):
    try:
        return model(images.expand(8, *images.shape[1:])).shape == (8, 3)
    except RuntimeError:
        return False


@pytest.mark.filterwarnings("ignore:An output with one or more elements was resized")
@pytest.mark.parametrize("name", UNKNOWN)
@pytest.mark.parametrize("batch", [1, 3])
def test_what_is_not_known_is_refused_in_one_sentence(name, batch):
    function, printed = UNKNOWN[name]
    step = Step(function, nn.Conv2d(2, 2, 3, padding=1), each=EACH.clone())
    model = nn.Sequential(step, nn.Flatten(), nn.Linear(24, 3)).eval()
    images = torch.rand(3, 2, 3, 4)
    with pytest.raises(Uncertifiable, match=printed) as caught:
        if not _answers(model, images[:1]):  # the check of inputs would already stop there
            follow(model, images[:1])
        ibp(model, images, torch.zeros(3, dtype=torch.int64), eps=0.1, batch=batch)
    message = str(caught.value)
    assert "\n" not in message and "executing" not in message and message.endswith(".")


@pytest.mark.parametrize(
    "answer",
    [lambda s, x: {"logits": x}, lambda s, x: (x, x), lambda s, x: x[:, :1], lambda s, x: s.each],
)
def test_answers_that_are_no_logits_are_refused(answer):
    model = nn.Sequential(nn.Flatten(), nn.Linear(24, 3), Step(answer, each=EACH)).eval()
    with pytest.raises(Uncertifiable, match="an output"):
        follow(model, torch.rand(1, 2, 3, 4))


@pytest.mark.parametrize("mode", [torch.inference_mode, lambda: torch.autocast("cpu")])
def test_modes_of_the_caller_change_nothing(mode):
    model, images = _model(KNOWN["adaptive pools"]), torch.rand(3, 2, 3, 4)
    labels = model(images).argmax(1)
    plain = crown(model, images, labels, eps=0.01)
    with mode():
        given = crown(model, images.clone(), labels, eps=0.01)
    assert torch.equal(given.margin, plain.margin)
