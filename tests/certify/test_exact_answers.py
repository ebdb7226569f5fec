"""Certificates beside closed forms and exact answers: never above, and not absurdly below."""

import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from torch import nn
from torch.nn import functional as F

from gauntlet.certify._bounds import bound
from gauntlet.certify._network import read_network
from gauntlet.certify._region import region
from gauntlet.models import build_model
from tests.helpers.certifying import METHODS, random_images


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_linear_models_are_exact(method, norm):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(72, 4)).requires_grad_(False)
    images = 0.3 + 0.4 * random_images(16, 0)
    logits = model(images)
    labels = logits.argmax(1)
    weight = model[1].weight
    gaps = logits.gather(1, labels[:, None]) - logits
    dual = {"linf": 1, "l2": 2, "l1": float("inf")}[norm]
    sizes = torch.linalg.vector_norm(weight[labels][:, None] - weight, dual, dim=2)
    true = (gaps / sizes).masked_fill(sizes == 0, torch.inf).amin(1)
    eps = float(true.median())
    prove, chosen = METHODS[method]
    found = prove(model, images, labels, norm=norm, eps=eps, radius=True, ceiling=8 * eps, **chosen)
    inside = true < 0.3 if norm == "linf" else true < 1e9
    assert (found.radius <= true + 1e-6).all()
    near = found.radius >= true.clamp(max=8 * eps) - 8 * eps / 200
    if norm == "linf":
        assert near[inside].all()
    else:  # the box [0, 1] only ever helps
        assert near.all()


def _tiny(seed):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU())
    return nn.Sequential(*model, nn.Linear(4, 3)).requires_grad_(False).double()


def _exact_margin(model, image, label, eps):
    """Solve a linear program for every pattern of active neurons: the true least margin."""
    first, second, last = (
        (layer.weight.numpy(), layer.bias.numpy()) for layer in (model[1], model[3], model[5])
    )
    low, high = np.maximum(image - eps, 0), np.minimum(image + eps, 1)
    least = np.inf
    for one in itertools.product([0, 1], repeat=5):
        on = np.array(one, float)
        w1, b1 = first[0], first[1]
        w2, b2 = second[0] * on @ w1, second[0] * on @ b1 + second[1]
        rows, ends = [(1 - 2 * on)[:, None] * w1], [-(1 - 2 * on) * b1]
        for two in itertools.product([0, 1], repeat=4):
            to = np.array(two, float)
            a = np.concatenate([*rows, (1 - 2 * to)[:, None] * w2])
            b = np.concatenate([*ends, -(1 - 2 * to) * b2])
            w3, b3 = last[0] * to @ w2, last[0] * to @ b2 + last[1]
            for other in {0, 1, 2} - {label}:
                cost = w3[label] - w3[other]
                box = list(zip(low, high, strict=True))
                done = linprog(cost, a, b, bounds=box, method="highs")
                if done.status == 0:
                    least = min(least, done.fun + b3[label] - b3[other])
    return least


@pytest.mark.parametrize("seed", range(3))
def test_below_the_exact_answer_and_not_absurdly(seed):
    model, image = _tiny(seed), random_images(1, seed, (1, 1, 3)).double()
    label = int(model(image).argmax(1))
    eps, nodes = 0.15, read_network(model, image)
    exact = _exact_margin(model, image.flatten().numpy(), label, eps)
    found = {}
    for name, (prove, chosen) in METHODS.items():
        single = nn.Sequential(*model).float()
        made = prove(single, image.float(), torch.tensor([label]), norm="linf", eps=eps, **chosen)
        model.double()
        found[name] = float(made.margin)
        assert found[name] <= exact + 1e-5, name
    clean = model(image)[0]
    plain = float((clean[label] - clean).sort().values[1])
    assert found["crown"] >= exact - 0.5 * (plain - exact) - 0.02
    assert found["alpha"] >= found["crown"] - 1e-6 and found["crown"] >= found["ibp"] - 1e-6
    assert nodes[-1].shape == (3,)


def _polytope_margin(model, image, label, other, eps):
    """Solve the linear program over the convex outer polytope (triangles at every ReLU)."""
    nodes = read_network(model, image)
    found = bound(nodes, region(image, "linf", eps), slopes="fast_lin", refine=True)
    places = [n for n in found.lines]
    (l1, u1), (l2, u2) = (found.intervals[nodes[p].parents[0]] for p in places)
    return l1[0], u1[0], l2[0], u2[0]


def test_fast_lin_by_hand():
    """One hidden layer, by hand: z = (x1 + x2, x1 - x2), logits (relu z1 + relu z2, 1).

    Around x = (0.5, 0.5) with eps 0.25: z1 in [0.5, 1.5] is on; z2 in [-0.5, 0.5] has the chord
    z2 / 2 + 1/4. Least of logit 0 - logit 1: relu z2 >= z2 / 2 (fast_lin), so that
    x1 + x2 + (x1 - x2) / 2 - 1 = 1.5 x1 + 0.5 x2 - 1 >= 0.375 + 0.125 - 1 = -0.5; the adaptive
    slope 0 gives x1 + x2 - 1 >= -0.5 too. Against: logit 1 - logit 0 with relu z2 <= z2 / 2 + 1/4
    gives 1 - 1.5 x1 - 0.5 x2 - 0.25 >= 0.75 - 1.125 - 0.375 = -0.75.
    """
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)).double()
    model.requires_grad_(False)
    model[1].weight.copy_(torch.tensor([[1.0, 1.0], [1.0, -1.0]]))
    model[1].bias.zero_()
    model[3].weight.copy_(torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
    model[3].bias.copy_(torch.tensor([0.0, 1.0]))
    image = torch.full((1, 1, 1, 2), 0.5, dtype=torch.float64)
    nodes = read_network(model, image)
    for slopes in ("fast_lin", "adaptive"):
        found = bound(nodes, region(image, "linf", 0.25), slopes=slopes, refine=True)
        low, high = found.intervals[2]
        assert low[0].tolist() == pytest.approx([0.5, -0.5], abs=1e-5)
        assert high[0].tolist() == pytest.approx([1.5, 0.5], abs=1e-5)
        rows = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64)
        least = found.least(rows, torch.tensor([0, 0]))
        assert least.tolist() == pytest.approx([-0.5, -0.75], abs=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_fast_lin_is_the_dual_of_wong_and_kolter(seed):
    """Their dual: nu_k = -c, backwards nu = W^T nu, at kinks nu * u / (u - l), value as theirs."""
    model, image = _tiny(seed), random_images(1, seed, (1, 1, 3)).double()
    nodes, eps = read_network(model, image), 0.1
    image = 0.3 + 0.4 * image  # the box [0, 1] is not reached: they do not cut
    found = bound(nodes, region(image, "linf", eps), slopes="fast_lin", refine=True)
    row = torch.tensor([[1.0, -1.0, 0.0]], dtype=torch.float64)
    nu, value = -row[0], torch.zeros((), dtype=torch.float64)
    wide = eps * (1 + 2e-6)
    for layer, place in ((model[5], 4), (model[3], 2)):
        value = value - layer.bias @ nu
        nu = layer.weight.T @ nu
        low, high = (side[0] for side in found.intervals[place])
        kink = (low < 0) & (high > 0)
        slope = torch.where(kink, high / (high - low), (low >= 0).double())
        nu = nu * slope
        value = value + (torch.where(kink, low, 0.0) * nu.clamp(min=0)).sum()
    value = value - model[1].bias @ nu
    nu = model[1].weight.T @ nu
    value = value - image.flatten() @ nu - wide * nu.abs().sum()
    assert float(found.least(row, torch.tensor([0]))) == pytest.approx(float(value), abs=1e-9)


def test_intervals_layer_by_layer():
    model = build_model({"arch": "article_cnn", "channels": [4, 6], "hidden": 8}, (1, 8, 8), 3, 0)
    model.eval().requires_grad_(False)
    model.mean.fill_(0.4)
    model.std.fill_(0.3)
    images = random_images(5, 1, (1, 8, 8))
    low, high = ((images + shift).clamp(0, 1) for shift in (-0.05, 0.05))
    low, high = (low - 0.4) / 0.3, (high - 0.4) / 0.3
    for layer in model.network:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            middle, radius = (low + high) / 2, (high - low) / 2
            bias = layer.bias.view(1, -1, *[1] * (middle.dim() - 2))
            call = F.conv2d if isinstance(layer, nn.Conv2d) else F.linear
            more = {"padding": 1} if call is F.conv2d else {}
            spread = call(radius, layer.weight.abs(), **more)
            middle = call(middle, layer.weight, **more) + bias
            low, high = middle - spread, middle + spread
        else:
            low, high = layer(low), layer(high)
    found = bound(read_network(model, images), region(images, "linf", 0.05), refine=False)
    for mine, plain in zip(found.intervals[-1], (low, high), strict=True):
        assert torch.allclose(mine, plain, atol=1e-4)
