"""Certificates never lie: held against attacks, closed forms and exact answers."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
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
from tests.helpers.certifying import METHODS, SHAPE, random_images


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
    model, images = _network(kind, seed), random_images(6, seed)
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
    model, images = _network(kind, 3), random_images(4, 3)
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


@pytest.mark.parametrize("arch", ["preact_resnet18", "mlp"])
def test_our_architectures_are_read(arch):
    more = {"width": 2} if arch == "preact_resnet18" else {"hidden": [16]}
    model = build_model({"arch": arch, **more}, (1, 8, 8), 4, 0).eval()
    images = random_images(3, 0, (1, 8, 8))
    labels = model(images).argmax(1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    flags = [weight.requires_grad for weight in model.parameters()]
    found = crown(model, images, labels, eps=1e-4, intermediate="ibp")
    assert found.certified.any()
    assert flags == [weight.requires_grad for weight in model.parameters()]
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not model.training and all(weight.grad is None for weight in model.parameters())


def test_chunks_and_batches_change_next_to_nothing():
    model, images = _network("max", 1), random_images(6, 1)
    labels = model(images).argmax(1)
    whole = crown(model, images, labels, eps=0.02, radius=True)
    parts = crown(model, images, labels, eps=0.02, radius=True, chunk=7, batch=2)
    assert torch.allclose(whole.margin, parts.margin, atol=1e-6)
    assert torch.allclose(whole.radius, parts.radius, atol=1e-4)


def test_wrong_predictions_have_no_certificate():
    model, images = _network("dense", 0), random_images(4, 0)
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
        ibp(model.eval(), random_images(2, 0), torch.zeros(2, dtype=torch.int64), eps=0.1)


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
        prove(_network("dense", 0), random_images(2, 0), labels, **({"eps": 0.1} | change))


def test_a_function_has_no_layers():
    with pytest.raises(GauntletError, match="needs the model's layers"):
        ibp(lambda x: x.flatten(1), random_images(1, 0), torch.zeros(1, dtype=torch.int64), eps=0.1)


def test_a_pass_that_differs_from_its_layers_is_found():
    class Sly(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.calls = nn.Linear(72, 2), 0

        def forward(self, x):
            self.calls += 1
            return self.layer(x.flatten(1)) * self.calls

    with pytest.raises(GauntletError, match="not what its layers compute"):
        ibp(Sly(), random_images(1, 0), torch.zeros(1, dtype=torch.int64), eps=0.1)


def test_bounds_pass_gradients_to_parameters():
    model = build_model({"arch": "article_cnn", "channels": [2, 3], "hidden": 4}, (1, 8, 8), 3, 0)
    images = random_images(2, 0, (1, 8, 8))
    found = bound(follow(model, images[:1]), region(images, "linf", 0.1), refine=False)
    found.intervals[-1][0].sum().backward()
    assert all(weight.grad is not None for weight in model.parameters())
    assert distance(images, images, "linf").max() == 0
