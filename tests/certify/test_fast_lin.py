"""Fixed slopes prove whatever the plain convex outer polytope proves."""

import inspect
from dataclasses import replace

import pytest
import torch
from torch import nn

from gauntlet.certify._bounds import bound
from gauntlet.certify._margins import linear_margins
from gauntlet.certify._network import read_network
from gauntlet.certify._region import region
from gauntlet.certify.crown import crown

EPS, SURE = 0.1, 1e-3  # a margin that float32 and widened bounds leave positive


def _network(seed):
    torch.manual_seed(seed)
    layers = (nn.Linear(8, 16), nn.Linear(16, 12), nn.Linear(12, 3))
    model = nn.Sequential(nn.Flatten(), layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
    stream = torch.Generator().manual_seed(seed)
    images = torch.rand(60, 2, 2, 2, generator=stream).mul(1.4).sub(0.2).clamp(0, 1)
    model.eval().requires_grad_(False)
    layers[-1].bias -= model(images).mean(0)  # so that no class wins everywhere
    return model, layers, images


def _lower(rows, layers, kinks, images):
    """Bound rows [R, ...] of the last layer's results from below, as Wong & Kolter do: [N, R].

    `kinks` are lower and upper bounds of what goes into each ReLU.
    """
    weights = (rows @ layers[-1].weight).expand(len(images), -1, -1)
    constant = (rows @ layers[-1].bias).expand(len(images), -1)
    for layer, (low, high) in zip(layers[-2::-1], kinks[::-1], strict=True):
        low, high = low[:, None], high[:, None]
        open_, slope = (low < 0) & (high > 0), high / (high - low)
        slope = torch.where(open_, slope, (low >= 0).float())
        above = torch.where(open_, -slope * low, 0.0)
        constant = constant + (weights.clamp(max=0) * above).sum(2)
        weights = weights * slope
        constant = constant + weights @ layer.bias
        weights = weights @ layer.weight
    flat = images.flatten(1)
    return constant + (weights * flat[:, None]).sum(2) - EPS * weights.abs().sum(2)


def _plain(layers, images, labels):
    """Give the least margin [N] of the plain convex outer polytope."""
    kinks = []
    for depth in range(1, len(layers)):
        unit = torch.eye(layers[depth - 1].out_features)
        low = _lower(unit, layers[:depth], kinks, images)
        kinks.append((low, -_lower(-unit, layers[:depth], kinks, images)))
    unit = torch.eye(3)
    bounds = [_lower(unit[[label]] - unit, layers, kinks, images) for label in range(3)]
    margins = torch.stack(bounds)[labels, torch.arange(len(images))]
    return margins.masked_fill(torch.arange(3) == labels[:, None], torch.inf).amin(1)


@pytest.mark.parametrize("seed", range(3))
def test_on_whole_balls_bounds_are_the_plain_polytopes(seed):
    model, layers, images = _network(seed)
    labels = model(images).argmax(1)
    whole = region(images, "linf", EPS).whole()
    found = bound(read_network(model, images), whole, slopes="fast_lin", refine=True)
    margins = linear_margins(found, labels).amin(1)
    assert torch.allclose(margins, _plain(layers, images, labels), atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_what_the_plain_polytope_proves_is_proven(seed):
    model, layers, images = _network(seed)
    labels = model(images).argmax(1)
    plain = _plain(layers, images, labels)
    assert 5 < int((plain > SURE).sum()) < 60
    found = crown(model, images, labels, eps=EPS, slopes="fast_lin")
    assert found.certified[plain > SURE].all() and found.certified[plain < -SURE].any()
    assert (found.margin > plain - SURE)[~found.certified].all()


def test_an_image_that_is_left_over_gets_the_better_of_both(monkeypatch):
    model, _, images = _network(0)
    labels, asked = model(images).argmax(1), []

    def both(nodes, area, **settings):
        asked.append(area)
        better = area.select(torch.arange(len(area.images)))
        if not area.cut:  # as if the plain polytope lost nothing
            better = replace(better, eps=0 * area.eps)
        return bound(nodes, better, **settings)

    cut = crown(model, images, labels, eps=EPS, slopes="fast_lin", batch=60).certified
    monkeypatch.setattr(inspect.getmodule(crown), "bound", both)
    found = crown(model, images, labels, eps=EPS, slopes="fast_lin", batch=60)
    assert found.certified.all() and not cut.all()
    assert [(len(area.images), area.cut) for area in asked][-1] == (int((~cut).sum()), False)
