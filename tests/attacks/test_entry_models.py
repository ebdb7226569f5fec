"""The entry of attacks: models in any mode, of any dtype and form give the same examples."""

import functools

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from gauntlet.core.batched_model import BatchedModel
from tests.helpers.attacked import data, network, predicted, run, same


def _trained_mode():
    torch.manual_seed(0)
    body = [nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*body, nn.Dropout(0.5), nn.Linear(384, 10)).eval()


class Wrapper:
    """A user's own class around a network."""

    def __init__(self, network):
        self.network = network

    def __call__(self, images):
        return self.network(images)


HOLDERS = {
    "module": lambda model: model,
    "batched": lambda model: BatchedModel(model, 5),
    "function": lambda model: lambda images: model(images),
    "method": lambda model: model.forward,
    "partial": lambda model: functools.partial(nn.Module.__call__, model),
    "inner module": lambda model: nn.Sequential(model),
    "list": lambda model: functools.partial(lambda models, images: models[0](images), [model]),
    "mapping": lambda model: lambda images, own={"it": model}: own["it"](images),
    "object": lambda model: Wrapper(model),
    "object's method": lambda model: Wrapper(model).__call__,
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_train_mode_is_set_aside_and_comes_back(holder):
    model, images = _trained_mode(), data(50)
    labels = predicted(model, images)
    plain = run("apgd", model, images, labels)
    held = HOLDERS[holder](model)
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = run("apgd", held, images, labels)
    assert all(part.training for part in model.modules())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(predicted(model.eval(), found.images) != labels, found.success_query > 0)
    assert torch.equal(plain.success_query > 0, found.success_query > 0)


def test_batch_norm_in_train_mode_inside_a_model_in_eval_mode():
    model, images = _trained_mode(), data(50)
    labels = predicted(model, images)
    plain = run("apgd", model, images, labels)
    model[1].train()
    assert same(plain, run("apgd", model, images, labels))
    assert model[1].training and not model.training


def test_dropout_that_stays_on_in_a_model_in_eval_mode_is_the_models_own():
    model, images = _trained_mode(), data(8)
    model[4].train()
    model(images)
    seen = []
    model[4].register_forward_pre_hook(lambda module, args: seen.append(module.training))
    run("fgsm", model, images, predicted(model, images))
    assert seen and all(seen)


class _InPlace(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = network()

    def forward(self, images):
        images.sub_(0.5).div_(0.3)
        return self.net(images)


def test_a_model_may_change_its_input_in_place(case):
    _, images, _ = case
    model, kept = _InPlace().eval(), images.clone()
    labels = predicted(model, images.clone())
    plain = run("pgd", lambda x: model(x.clone()), images, labels)
    assert same(plain, run("pgd", model, images, labels)) and torch.equal(images, kept)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_a_model_of_another_dtype_is_taken(dtype, case):
    _, images, labels = case
    model = network().to(dtype)
    labels = predicted(lambda x: model(x.to(dtype)), images)
    for kind in ("pgd", "adaptive", "square", "cw"):
        found = run(kind, model, images, labels)
        missed = predicted(lambda x: model(x.to(dtype)), found.images) != labels
        assert found.images.dtype == torch.float32
        assert torch.equal(missed, found.success_query > 0)


@pytest.mark.parametrize("reentrant", [False, True])
def test_a_model_that_recomputes(reentrant, case):
    model, images, labels = case

    def recomputing(x):
        return checkpoint(model, x, use_reentrant=reentrant)

    if reentrant:
        with pytest.raises(ValueError, match="use use_reentrant=False"):
            run("pgd", recomputing, images, labels)
        return
    plain, found = run("pgd", model, images, labels), run("pgd", recomputing, images, labels)
    assert (plain.images - found.images).abs().max() < 1e-5


def test_a_model_made_in_inference_mode_is_named(case):
    with torch.inference_mode():
        model = network()
    with pytest.raises(ValueError, match="made under torch.inference_mode"):
        run("pgd", model, *case[1:])
