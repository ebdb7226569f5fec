"""Bounds hold where terms cancel, where lines meet curves, and beyond an image's edge."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gauntlet.certify._bounds import bound
from gauntlet.certify._curves import curve
from gauntlet.certify._network import evaluate_all, read_network
from gauntlet.certify._region import region
from gauntlet.certify.crown import crown
from tests.certify.fuzz import descended, within
from tests.helpers.steps import Step


class _Cancelling(nn.Module):
    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.layer = nn.Linear(24, 3)

    def forward(self, x):
        return self.layer((x.flatten(1) + 2_000.0) - 2_000.0)


def test_large_terms_that_cancel_are_bounded_in_double_precision():
    model, stream = _Cancelling().eval(), torch.Generator().manual_seed(0)
    images = torch.rand(4, 2, 3, 4, generator=stream)
    labels = model(images).argmax(1)
    found = crown(model, images, labels, eps=1e-3, radius=True, ceiling=0.5)
    for row in (found.radius > 0).nonzero().flatten().tolist():
        case = (images[row], int(labels[row]), "linf", float(found.radius[row]))
        assert (model(descended(model, *case, stream)).argmax(1) == labels[row]).all()


@pytest.mark.parametrize("seed", range(3))
def test_an_image_that_is_exact_by_luck_still_gets_its_slack(seed):
    model = _Cancelling(seed).eval().requires_grad_(False)
    image = torch.full((1, 2, 3, 4), 0.5)  # 2000.5 is exact in float32: nothing is rounded here
    noise = torch.rand(500, 2, 3, 4, generator=torch.Generator().manual_seed(seed)) - 0.5
    tried = image + 0.02 * noise
    rounded = model(tried) - copy.deepcopy(model).double()(tried.double())
    label = model(image).argmax(1)
    top = model.double()(image.double()).topk(2, 1).values
    found = crown(model.float(), image, label, eps=0.0)
    reckoned = float(top[0, 0] - top[0, 1]) - float(found.margin)
    assert reckoned > 1.5 * float(rounded.abs().max()) > 0


@pytest.mark.parametrize(
    "name", ["sigmoid", "tanh", "softplus", "elu", "gelu", "gelu_tanh", "silu"]
)
def test_lines_of_smooth_activations(name):
    bend, stream = curve(name, 1.6 if name == "elu" else 1.0), torch.Generator().manual_seed(0)
    middle = 16 * torch.rand(400, generator=stream, dtype=torch.float64) - 8
    width = 10 ** (4 * torch.rand(400, generator=stream, dtype=torch.float64) - 3)
    low, high = middle - width, middle + width
    points = low + (high - low) * torch.linspace(0, 1, 2001, dtype=torch.float64)[:, None]
    values = bend.forward(points)
    least, most = bend.range(low, high)
    assert (values >= least).all() and (values <= most).all()
    assert (values.amin(0) - least).max() < 1e-3 and (most - values.amax(0)).max() < 1e-3
    (under, floor), (over, lift) = bend.below(low, high), bend.above(low, high)
    assert (under * points + floor <= values).all() and (over * points + lift >= values).all()
    touch = (values - under * points - floor).amin(0), (over * points + lift - values).amin(0)
    assert max(map(float, map(torch.max, touch))) < 1e-3
    for _, slopes in bend.pieces:  # between knots, slopes only rise or only fall
        rises = slopes if slopes[-1] >= slopes[0] else -slopes
        assert (rises.cummax(0).values - rises).max() < 1e-12


BEYOND = {  # layers whose windows lie partly beyond all values
    "convolutions": lambda: (
        *(nn.Conv2d(1, 2, 2, padding=4), nn.ReLU(), nn.Conv2d(2, 2, 3, padding=5), nn.ReLU()),
        *(nn.AvgPool2d(3), nn.Flatten(), nn.Linear(72, 3)),
    ),
    "after a pool": lambda: (
        *(nn.MaxPool2d(2, 1, 1), nn.Conv2d(1, 2, 1, padding=2), nn.SiLU()),
        *(nn.Flatten(), nn.Linear(128, 3)),
    ),
    "a branch of a sum": lambda: (
        nn.MaxPool2d(2, 1, 1),
        Step(lambda s, x: s.parts[0](x) + F.pad(x, (2, 2, 2, 2)), nn.Conv2d(1, 2, 1, padding=2)),
        *(nn.SiLU(), nn.Flatten(), nn.Linear(128, 3)),
    ),
}


@pytest.mark.parametrize("layers", BEYOND)
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("whole", [False, True])
def test_windows_that_lie_wholly_beyond_the_image(layers, norm, whole):
    torch.manual_seed(0)
    model = nn.Sequential(*BEYOND[layers]()).eval().requires_grad_(False)
    stream = torch.Generator().manual_seed(0)
    images = torch.rand(2, 1, 3, 3, generator=stream)
    nodes, area = read_network(model, images), region(images, norm, 0.3)
    found = bound(nodes, area.whole() if whole else area, refine=True)
    for row in range(2):
        values = evaluate_all(nodes, within(images[row], norm, 0.3, 500, stream))
        for value, (low, high) in zip(values, found.intervals, strict=True):
            assert (value >= low[row] - 1e-5).all() and (value <= high[row] + 1e-5).all()
