"""Certificates never lie: held against attacks, closed forms and exact answers."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from torch import nn
from torch.nn import functional as F

from gauntlet.attacks import bind
from gauntlet.certify._bounds import bound
from gauntlet.certify._network import evaluate, follow, read_network
from gauntlet.certify._region import region
from gauntlet.certify.crown import crown
from gauntlet.certify.ibp import ibp
from gauntlet.core.errors import GauntletError
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import distance
from gauntlet.models import build_model

METHODS = {
    "ibp": (ibp, {}),
    "crown": (crown, {}),
    "crown-ibp": (crown, {"intermediate": "ibp"}),
    "fast_lin": (crown, {"slopes": "fast_lin"}),
    "alpha": (crown, {"slopes": "alpha", "steps": 5}),
}
SHAPE = (2, 6, 6)


class _Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        return F.leaky_relu(self.norm(self.first(x)), 0.1) + x


def _network(kind, seed):
    torch.manual_seed(seed)
    layers = {
        "dense": [nn.Flatten(), nn.Linear(72, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU()],
        "max": [nn.Conv2d(2, 4, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten()],
        "overlap": [nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Flatten()],
        "average": [nn.Conv2d(2, 4, 3, 2, 1), nn.LeakyReLU(0.2), nn.AvgPool2d(2), nn.Flatten()],
        "residual": [nn.Conv2d(2, 3, 1), _Residual(3), nn.AdaptiveAvgPool2d(2), nn.Flatten()],
        "groups": [nn.Conv2d(2, 4, 3, groups=2, dilation=2), nn.Dropout(0.5), nn.Flatten()],
    }[kind]
    width = nn.Sequential(*layers).eval()(torch.zeros(1, *SHAPE)).shape[1]
    model = nn.Sequential(*layers, nn.Linear(width, 3)).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
    return model.requires_grad_(False)


KINDS = ("dense", "max", "overlap", "average", "residual", "groups")


def _images(count, seed, shape=SHAPE):
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed))


def _within(images, norm, eps, draws, seed):
    """Draw points of the balls [draws, N, ...], many of them at their faces."""
    stream = torch.Generator().manual_seed(seed)
    noise = torch.randn(draws, *images.shape, generator=stream)
    if norm == "linf":
        noise = noise.sign() * eps.view(-1, 1, 1, 1)
    else:
        if norm == "l1":
            noise = noise * (torch.rand(noise.shape, generator=stream) < 0.1)
        order = {"l2": 2, "l1": 1}[norm]
        length = torch.linalg.vector_norm(noise.flatten(2), order, dim=2).clamp(min=1e-9)
        noise = noise * (eps / length)[..., None, None, None]
    return (images + noise).clamp(0, 1)


@settings(max_examples=30, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 1000),
    method=st.sampled_from(sorted(METHODS)),
    norm=st.sampled_from(["linf", "l2", "l1"]),
    eps=st.sampled_from([0.0, 0.01, 0.05, 0.3]),
)
def test_what_is_certified_withstands_all_that_is_tried(kind, seed, method, norm, eps):
    model, images = _network(kind, seed), _images(6, seed)
    labels = model(images).argmax(1)
    prove, chosen = METHODS[method]
    found = prove(model, images, labels, norm=norm, eps=eps, radius=True, **chosen)
    assert (found.certified == (found.margin > 0)).all()
    assert (found.radius[found.certified] >= eps).all() and (found.radius <= 2 * eps).all()
    radius = found.radius.float()
    tried = _within(images, norm, radius, 200, seed).flatten(0, 1)
    assert torch.equal(model(tried).argmax(1).view(200, -1), labels.expand(200, -1))
    attack = bind({"kind": "pgd", "norm": norm, "eps": eps, "steps": 10, "step": eps / 4})
    attacked = attack(model, images, labels, streams=Streams.of_images(seed, range(6), "t"))
    assert not (found.certified & (attacked.success_query > 0)).any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_bounds_of_every_layer_hold(kind, norm):
    model, images = _network(kind, 3), _images(4, 3)
    nodes = read_network(model, images)
    area = region(images, norm, 0.1)
    for refine in (False, True):
        found = bound(nodes, area, slopes="adaptive", refine=refine)
        tried = _within(images, norm, torch.full((4,), 0.1), 100, 5)
        for number in range(1, len(nodes)):
            values = evaluate(nodes[: number + 1], tried.flatten(0, 1))
            values = values.view(100, 4, *nodes[number].shape)
            low, high = found.intervals[number]
            assert (values >= low - 1e-5).all() and (values <= high + 1e-5).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_linear_models_are_exact(method, norm):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(72, 4)).requires_grad_(False)
    images = 0.3 + 0.4 * _images(16, 0)
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
    model, image = _tiny(seed), _images(1, seed, (1, 1, 3)).double()
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
    model, image = _tiny(seed), _images(1, seed, (1, 1, 3)).double()
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
    images = _images(5, 1, (1, 8, 8))
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


@pytest.mark.parametrize("arch", ["preact_resnet18", "mlp"])
def test_our_architectures_are_read(arch):
    more = {"width": 2} if arch == "preact_resnet18" else {"hidden": [16]}
    model = build_model({"arch": arch, **more}, (1, 8, 8), 4, 0).eval()
    images = _images(3, 0, (1, 8, 8))
    labels = model(images).argmax(1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    flags = [weight.requires_grad for weight in model.parameters()]
    found = crown(model, images, labels, eps=1e-4, intermediate="ibp")
    assert found.certified.any()
    assert flags == [weight.requires_grad for weight in model.parameters()]
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not model.training and all(weight.grad is None for weight in model.parameters())


def test_chunks_and_batches_change_next_to_nothing():
    model, images = _network("max", 1), _images(6, 1)
    labels = model(images).argmax(1)
    whole = crown(model, images, labels, eps=0.02, radius=True)
    parts = crown(model, images, labels, eps=0.02, radius=True, chunk=7, batch=2)
    assert torch.allclose(whole.margin, parts.margin, atol=1e-6)
    assert torch.allclose(whole.radius, parts.radius, atol=1e-4)


def test_wrong_predictions_have_no_certificate():
    model, images = _network("dense", 0), _images(4, 0)
    wrong = (model(images).argmax(1) + 1) % 3
    found = crown(model, images, wrong, eps=0.001, radius=True)
    assert not found.certified.any() and not found.radius.any()
    nothing = crown(model, images[:0], wrong[:0], eps=0.001)
    assert nothing.certified.shape == (0,)


class _Odd(nn.Module):
    def forward(self, x):
        return torch.sin(x.flatten(1))


class _Branching(nn.Module):
    def forward(self, x):
        return x.flatten(1) if x.sum() > 0 else -x.flatten(1)


class _Squared(nn.Module):
    def forward(self, x):
        return x.flatten(1) * x.flatten(1)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Flatten(), nn.Softmax(1)), "'1: Softmax'; attacks still run"),
        (_Odd(), "'sin'"),
        (_Branching(), "cannot be followed"),
        (_Squared(), "'mul of two layers'"),
        (nn.Sequential(nn.MaxPool2d(2, ceil_mode=True), nn.Flatten()), "'0: MaxPool2d'"),
        (nn.Sequential(nn.Conv2d(2, 2, 3, padding="same"), nn.Flatten()), "padding same"),
    ],
)
def test_unknown_layers_are_named(model, message):
    with pytest.raises(GauntletError, match=message):
        ibp(model.eval(), _images(2, 0), torch.zeros(2, dtype=torch.int64), eps=0.1)


@pytest.mark.parametrize(
    ("prove", "change", "message"),
    [
        (crown, {"slopes": "steep"}, "slopes is 'steep'"),
        (crown, {"intermediate": "none"}, "intermediate is 'none'"),
        (crown, {"slopes": "alpha", "steps": 0}, "steps is 0"),
        (ibp, {"norm": "l3"}, "norm is 'l3'"),
        (ibp, {"eps": -1.0}, "eps is -1.0"),
        (ibp, {"batch": 0}, "batch is 0"),
        (ibp, {"ceiling": 0.0}, "ceiling is 0.0"),
    ],
)
def test_bad_settings_are_named(prove, change, message):
    with pytest.raises(GauntletError, match=message):
        labels = torch.zeros(2, dtype=torch.int64)
        prove(_network("dense", 0), _images(2, 0), labels, **({"eps": 0.1} | change))


def test_a_function_has_no_layers():
    with pytest.raises(GauntletError, match="needs the model's layers"):
        ibp(lambda x: x.flatten(1), _images(1, 0), torch.zeros(1, dtype=torch.int64), eps=0.1)


def test_a_pass_that_differs_from_its_layers_is_found():
    class Sly(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.calls = nn.Linear(72, 2), 0

        def forward(self, x):
            self.calls += 1
            return self.layer(x.flatten(1)) * self.calls

    with pytest.raises(GauntletError, match="not what its layers compute"):
        ibp(Sly(), _images(1, 0), torch.zeros(1, dtype=torch.int64), eps=0.1)


def test_bounds_pass_gradients_to_parameters():
    model = build_model({"arch": "article_cnn", "channels": [2, 3], "hidden": 4}, (1, 8, 8), 3, 0)
    images = _images(2, 0, (1, 8, 8))
    found = bound(follow(model, images[:1]), region(images, "linf", 0.1), refine=False)
    found.intervals[-1][0].sum().backward()
    assert all(weight.grad is not None for weight in model.parameters())
    assert distance(images, images, "linf").max() == 0
