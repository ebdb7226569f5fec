"""Attacks on models whose worst case is known."""

import pytest
import torch
from torch import nn

from gauntlet.attacks import bind
from gauntlet.core import threat_models
from gauntlet.core.errors import GauntletError
from gauntlet.core.image_rng import Streams
from gauntlet.core.rng import generator
from gauntlet.models import build_model, evaluating

SHAPE = (1, 6, 6)
CASES = {
    "pgd-linf": {"kind": "pgd", "norm": "linf", "eps": 0.1, "steps": 8, "step": 0.03},
    "pgd-l2": {"kind": "pgd", "norm": "l2", "eps": 0.5, "steps": 8, "step": 0.2},
    "fgsm-linf": {"kind": "fgsm", "norm": "linf", "eps": 0.1, "step": 0.1},
    "fgsm-l2": {"kind": "fgsm", "norm": "l2", "eps": 0.5, "step": 0.5},
    "fgsm-rs": {"kind": "fgsm", "norm": "linf", "eps": 0.1, "step": 0.125, "random_start": True},
    "noise": {"kind": "gaussian_noise", "sigma": 0.3, "draws": 4},
    "apgd-linf": {"kind": "apgd", "norm": "linf", "eps": 0.1, "steps": 8},
    "apgd-l1": {"kind": "apgd", "norm": "l1", "eps": 2.0, "steps": 8, "loss": "dlr"},
}
SURVIVORS = {
    "apgd_t": {"kind": "apgd_t", "norm": "l2", "eps": 0.5, "steps": 6, "loss": "margin"},
    "mifgsm": {"kind": "mifgsm", "norm": "linf", "eps": 0.1, "step": 0.02, "steps": 6},
}


@pytest.fixture
def data():
    stream = generator(0, "data")
    images = torch.rand((24, *SHAPE), generator=stream) * 0.6 + 0.2
    return images, torch.randint(0, 3, (24,), generator=stream)


@pytest.fixture
def model():
    return build_model({"arch": "article_cnn", "channels": [4, 8], "hidden": 16}, SHAPE, 3, 1)


def _linear(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 2, bias=False)).requires_grad_(False)


def _run(case, model, images, labels, seed=0, **extra):
    with evaluating(model):
        streams = Streams.of_images(seed, range(len(images)), "attack")
        return bind(case)(model, images, labels, streams=streams, **extra)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("early_stop", [True, False])
def test_examples_keep_the_threat_model(name, early_stop, model, data):
    case = CASES[name]
    result = _run(case, model, *data, early_stop=early_stop)
    norm, eps = case.get("norm", "noise"), case.get("eps", 0)
    assert result.images.dtype == torch.float32
    assert threat_models.admissible(result.images, data[0], norm, eps).all()
    drawn_only = name == "noise" and not early_stop
    assert drawn_only or (result.forwards > 0).all()


@pytest.mark.parametrize("name", CASES)
def test_same_seed_same_bytes_other_seed_other_bytes(name, model, data):
    first, again, other = (_run(CASES[name], model, *data, seed=s).images for s in (0, 0, 1))
    assert torch.equal(first, again)
    deterministic = name in ("fgsm-linf", "fgsm-l2")
    assert torch.equal(first, other) == deterministic


@pytest.mark.parametrize("name", CASES)
def test_model_and_images_stay_as_they_were(name, model, data):
    model.train()
    state = {key: value.clone() for key, value in model.state_dict().items()}
    images = data[0].clone()
    _run(CASES[name], model, *data)
    assert model.training and all(weight.requires_grad for weight in model.parameters())
    assert all(weight.grad is None for weight in model.parameters())
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
    assert torch.equal(images, data[0])


@pytest.mark.parametrize("norm", ("linf", "l2"))
def test_worst_case_of_a_linear_model_is_found(norm, data):
    """On a linear model the margin falls by exactly eps times the dual norm of the weights."""
    model, (images, _) = _linear(), data
    weights = model[1].weight[1] - model[1].weight[0]
    margins = (model(images) @ torch.tensor([-1.0, 1.0])).detach()
    dual = (weights.abs().sum() if norm == "linf" else weights.norm()).item()
    drop = margins.abs().quantile(0.4).item()
    eps = drop / dual
    labels = (margins > 0).long()
    case = {"kind": "pgd", "norm": norm, "eps": eps, "steps": 20, "step": eps / 4}
    case["random_start"] = norm == "linf"  # on a sphere a start off the gradient decays slowly
    result = _run(case, model, images, labels)
    success = model(result.images).argmax(1) != labels
    clear = (margins.abs() - drop).abs() > 1e-3 * drop
    farthest = eps if norm == "linf" else (eps * weights.abs().max() / weights.norm()).item()
    assert farthest < 0.2  # no pixel meets the end of the range
    assert 0 < int(success.sum()) < len(success)
    assert torch.equal(success[clear], (margins.abs() < drop)[clear])


def test_one_full_pgd_step_is_fgsm(model, data):
    common = {"norm": "linf", "eps": 0.1, "step": 0.1}
    pgd = {"kind": "pgd", "steps": 1, "random_start": False, **common}
    one = _run(pgd, model, *data, early_stop=False).images
    fgsm = {"kind": "fgsm", **common}
    assert torch.equal(one, _run(fgsm, model, *data, early_stop=False).images)


def test_more_restarts_never_raise_accuracy(model, data):
    active = []
    for restarts in (1, 2, 5):
        result = _run({**CASES["pgd-linf"], "restarts": restarts}, model, *data)
        active.append(set((model(result.images).argmax(1) == data[1]).nonzero().flatten().tolist()))
    assert active[0] >= active[1] >= active[2]


def test_batch_norm_does_not_move_and_batches_agree(data):
    model = build_model({"arch": "preact_resnet18", "width": 4}, SHAPE, 3, 0)
    case = {**CASES["pgd-linf"], "random_start": False}
    whole = _run(case, model, *data, early_stop=False).images
    single = torch.cat(
        [
            _run(case, model, image[None], label[None], early_stop=False).images
            for image, label in zip(*data, strict=True)
        ]
    )
    assert (whole - single).abs().gt(1e-4).float().mean() < 0.02


def test_soft_labels_climb_the_divergence(model, data):
    beliefs = torch.softmax(model(data[0]), 1).detach()
    moved = _run(CASES["pgd-linf"], model, data[0], beliefs, early_stop=False).images
    after = torch.softmax(model(moved), 1)
    divergence = (beliefs * (beliefs.log() - after.log())).sum(1)
    assert divergence.min() > 0


def test_unknown_plugin_is_one_sentence():
    with pytest.raises(GauntletError, match="no plug-in 'psd'"):
        bind({"kind": "psd"})


@pytest.mark.parametrize("change", [{"steps": 0}, {"restarts": 0}, {"norm": "l3"}, {"eps": -1.0}])
def test_bad_settings_raise(change, model, data):
    with pytest.raises(ValueError):
        _run({**CASES["pgd-linf"], **change}, model, *data)
