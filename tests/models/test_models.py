"""Models: the article's sizes, seeds that alone decide the weights, normalisation inside."""

import pytest
import torch
from torch import nn

from gauntlet.core.errors import GauntletError
from gauntlet.core.inputs import own_settings
from gauntlet.models import Classifier, build_model, evaluating, load_weights

ARTICLE = [
    ((1, 28, 28), {}, (32, 64), 7 * 7 * 64, 128),
    ((3, 32, 32), {}, (64, 128), 8 * 8 * 128, 512),
    ((1, 32, 32), {}, (32, 64), 8 * 8 * 64, 128),
    ((3, 28, 28), {}, (64, 128), 7 * 7 * 128, 512),
    ((1, 29, 31), {}, (32, 64), 7 * 7 * 64, 128),
    ((2, 4, 7), {"channels": [3, 5], "hidden": 6}, (3, 5), 5, 6),
    ((1, 28, 28), {"hidden": 9}, (32, 64), 7 * 7 * 64, 9),
    ((1, 28, 28), {"channels": [2, 3]}, (2, 3), 7 * 7 * 3, 128),
]
ARCHES = [
    ({"arch": "article_cnn"}, (1, 28, 28)),
    ({"arch": "article_cnn"}, (3, 33, 17)),
    ({"arch": "mlp", "hidden": [8, 4]}, (1, 5, 7)),
    ({"arch": "mlp", "hidden": []}, (3, 8, 8)),
    ({"arch": "preact_resnet18", "width": 2}, (3, 32, 32)),
    ({"arch": "preact_resnet18", "width": 2}, (1, 9, 11)),
    ({"arch": "wide_resnet", "depth": 10, "factor": 1}, (3, 32, 32)),
    ({"arch": "wide_resnet", "depth": 16, "factor": 2}, (1, 9, 11)),
    ({"arch": "vit_tiny", "depth": 2, "heads": 1}, (3, 32, 32)),
    ({"arch": "vit_tiny", "patch": 3, "depth": 1, "heads": 2}, (1, 8, 11)),
    ({"arch": "torchvision", "name": "shufflenet_v2_x0_5"}, (3, 32, 32)),
    ({"arch": "torchvision", "name": "squeezenet1_1"}, (1, 28, 28)),
]
CNN = {"arch": "article_cnn", "channels": [2, 3], "hidden": 4}


def _named(case):
    return f"{case.get('name', case['arch'])}" if isinstance(case, dict) else str(case)


@pytest.mark.parametrize(("shape", "settings", "channels", "flat", "hidden"), ARTICLE)
def test_article_cnn_has_the_articles_sizes(shape, settings, channels, flat, hidden):
    network = build_model({"arch": "article_cnn", **settings}, shape, 10, 0).network
    convolutions = [layer for layer in network if isinstance(layer, nn.Conv2d)]
    first, last = (layer for layer in network if isinstance(layer, nn.Linear))
    assert [layer.in_channels for layer in convolutions] == [shape[0], channels[0]]
    assert tuple(layer.out_channels for layer in convolutions) == channels
    assert (first.in_features, first.out_features) == (flat, hidden)
    assert (last.in_features, last.out_features) == (hidden, 10)


@pytest.mark.parametrize("shape", [(1, 3, 28), (3, 28, 3), (1, 1, 1)])
def test_article_cnn_refuses_images_that_pooling_would_empty(shape):
    with pytest.raises(GauntletError, match=f"4x4.*{shape[1]}x{shape[2]}"):
        build_model({"arch": "article_cnn"}, shape, 10, 0)


@pytest.mark.parametrize(("settings", "shape"), ARCHES, ids=_named)
def test_every_arch_gives_one_logit_per_class_and_learns_everywhere(settings, shape):
    model = build_model(settings, shape, 7, 0)
    assert model.training
    logits = model(torch.rand(3, *shape))
    assert logits.shape == (3, 7) and logits.isfinite().all()
    model.eval()(torch.rand(3, *shape)).square().sum().backward()
    assert all(weight.grad is not None for weight in model.parameters())


@pytest.mark.parametrize(("settings", "shape"), ARCHES[::2], ids=_named)
def test_weights_depend_on_the_seed_alone(settings, shape):
    models = []
    for noise, seed in ((1, 5), (2, 5), (1, 6)):
        torch.manual_seed(noise)
        before = torch.get_rng_state()
        models.append(build_model(settings, shape, 3, seed).state_dict())
        assert torch.equal(before, torch.get_rng_state())
    first, again, other = models
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert any(not torch.equal(value, other[name]) for name, value in first.items())


@pytest.mark.parametrize(
    ("name", "shape", "says"),
    [
        ("resnet19", (3, 32, 32), "'resnet19'.*resnet1"),
        ("fcn_resnet50", (3, 32, 32), "'fcn_resnet50'"),
        ("Conv2d", (3, 32, 32), "'Conv2d'"),
        ("squeezenet1_1", (1, 8, 8), "squeezenet1_1 cannot take images of 8x8"),
    ],
)
def test_torchvision_refuses_in_one_sentence(name, shape, says):
    with pytest.raises(GauntletError, match=says):
        build_model({"arch": "torchvision", "name": name}, shape, 10, 0)


def test_a_grey_image_is_shown_three_times():
    settings = {"arch": "torchvision", "name": "squeezenet1_1"}
    grey = build_model(settings, (1, 28, 28), 4, 0).eval()
    color = build_model(settings, (3, 28, 28), 4, 0).eval()
    images = torch.rand(2, 1, 28, 28)
    assert torch.equal(grey(images), color(images.repeat(1, 3, 1, 1)))


def test_unknown_arch_is_one_sentence():
    with pytest.raises(GauntletError, match="no plug-in 'resnext'"):
        build_model({"arch": "resnext"}, (1, 8, 8), 2, 0)


def test_normalisation_is_inside_and_travels_with_the_weights():
    images = torch.rand(50, 3, 4, 4) * torch.tensor([1.0, 0.2, 0.0]).view(1, 3, 1, 1) + 0.3
    model = Classifier(nn.Identity(), 3)
    assert torch.equal(model(images), images)
    model.normalize_like(images)
    seen = model(images)
    assert torch.allclose(seen[:, :2].mean((0, 2, 3)), torch.zeros(2), atol=1e-4)
    assert torch.allclose(seen[:, :2].std((0, 2, 3)), torch.ones(2), atol=1e-4)
    assert seen.isfinite().all()  # a channel that never changes
    other = Classifier(nn.Identity(), 3)
    load_weights(other, model.state_dict(), "w.pt")
    assert torch.equal(other(images), seen)
    assert not list(model.parameters())  # the statistics are not trained


def test_evaluating_has_the_mode_of_attacks():
    """Of dropout in train mode in a model in eval mode both say: a random defense."""
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 2)).eval()
    for layer in model:
        layer.train()
    with evaluating(model):
        evaluated = [layer.training for layer in model]
    with own_settings(model, "cpu"):
        attacked = [layer.training for layer in model]
    assert evaluated == attacked == [False, True, True]
    with evaluating(model.train()):
        assert not any(layer.training for layer in model)


@pytest.mark.parametrize("fails", [False, True])
def test_evaluating_restores_what_was(fails):
    model = build_model({"arch": "preact_resnet18", "width": 2}, (1, 8, 8), 2, 0)
    model.network[-1].eval()
    model.network[0].weight.requires_grad_(False)
    modes = [module.training for module in model.modules()]
    wanted = [weight.requires_grad for weight in model.parameters()]
    assert True in modes and False in modes and True in wanted and False in wanted
    try:
        with evaluating(model) as same:
            assert same is model
            assert not any(module.training for module in model.modules())
            assert not any(weight.requires_grad for weight in model.parameters())
            if fails:
                raise KeyError
    except KeyError:
        assert fails
    assert modes == [module.training for module in model.modules()]
    assert wanted == [weight.requires_grad for weight in model.parameters()]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"network.0.weight": torch.zeros(2, 3, 3, 3)}, r"'network.0.weight'.*\[2, 1.*\[2, 3, 3"),
        ({"network.9.bias": None}, r"'network.9.bias'.*\[5\].*None"),
        ({"extra": torch.zeros(4)}, r"'extra'.*None.*\[4\]"),
    ],
    ids=["shape", "missing", "unknown"],
)
def test_weights_that_do_not_fit_are_named(change, says):
    model = build_model(CNN, (1, 8, 8), 5, 0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = {name: value + 1 for name, value in before.items()} | change
    state = {name: value for name, value in state.items() if value is not None}
    with pytest.raises(GauntletError, match="some/best.pt.*" + says):
        load_weights(model, state, "some/best.pt")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("depth", [9, 4, 27])
def test_a_wide_resnet_has_whole_stages(depth):
    with pytest.raises(GauntletError, match=f"depth is {depth}; allowed is 6 n"):
        build_model({"arch": "wide_resnet", "depth": depth, "factor": 1}, (1, 8, 8), 2, 0)


def test_a_wide_resnet_has_the_published_number_of_weights():
    network = build_model({"arch": "wide_resnet", "depth": 28, "factor": 10}, (3, 32, 32), 10, 0)
    assert sum(weight.numel() for weight in network.network.parameters()) == 36_479_194


def test_a_transformer_sees_the_order_of_its_patches():
    model = build_model({"arch": "vit_tiny", "depth": 1, "heads": 1}, (1, 8, 8), 3, 0).eval()
    images = torch.rand(2, 1, 8, 8)
    assert not torch.allclose(model(images), model(images.flip(3).flip(2)), atol=1e-4)
    mixed = model(torch.cat([images, images.flip(0)]))
    assert torch.allclose(mixed[:2], mixed[2:].flip(0), atol=1e-5)  # no image depends on others
