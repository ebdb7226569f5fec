"""The entry of attacks: whatever the caller's settings, inputs and model, the same examples."""

import functools
import inspect
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from gauntlet.attacks import bind
from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.image_rng import Streams
from gauntlet.core.plugins import load

SETTINGS = {
    "pgd": {"norm": "linf", "eps": 0.1, "steps": 5, "step": 0.05},
    "fgsm": {"norm": "linf", "eps": 0.1, "step": 0.1},
    "mifgsm": {"norm": "linf", "eps": 0.1, "steps": 5, "step": 0.02},
    "apgd": {"norm": "linf", "eps": 0.1, "steps": 10},
    "apgd_t": {"norm": "linf", "eps": 0.1, "steps": 10, "targets": 3},
    "fab_t": {"norm": "linf", "eps": 0.1, "steps": 5, "targets": 3},
    "square": {"norm": "linf", "eps": 0.1, "queries": 30},
    "spsa": {"norm": "linf", "eps": 0.1, "steps": 3, "samples": 8},
    "autoattack": {"norm": "linf", "eps": 0.4},
    "gauntlet": {"norm": "linf", "eps": 0.1, "queries": 30},
    "adaptive": {"norm": "linf", "eps": 0.1, "steps": 5, "queries": 20},
    "deepfool": {"norm": "l2", "steps": 5},
    "ddn": {"steps": 10},
    "cw": {"steps": 10, "search_steps": 2},
    "fmn": {"norm": "l2", "steps": 10},
    "rays": {"queries": 40},
    "hopskipjump": {"norm": "l2", "steps": 2, "init_evals": 10, "max_evals": 20},
    "gaussian_noise": {"sigma": 0.3, "draws": 3},
    "spatial": {"grid": (5, 3, 3)},
    "corruptions": {"severity": 4},
}
GRADIENTS = ("pgd", "apgd", "gauntlet", "deepfool", "ddn", "cw", "fmn", "fab_t")


def network(classes: int = 10) -> nn.Module:
    torch.manual_seed(0)
    body = [nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(384, classes)]
    return nn.Sequential(*body).eval()


def data(count: int = 12) -> torch.Tensor:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def predicted(model, images) -> torch.Tensor:
    with torch.no_grad():
        return model(images).argmax(1)


def run(kind, model, images, labels, **more):
    return load("attacks", kind)(model, images, labels, **SETTINGS[kind] | more)


@pytest.fixture(scope="module")
def case():
    model, images = network(), data()
    return model, images, predicted(model, images)


def same(one, other) -> bool:
    counts = ("forwards", "backwards", "success_query")
    return torch.equal(one.images, other.images) and all(
        torch.equal(getattr(one, name), getattr(other, name)) for name in counts
    )


@pytest.mark.parametrize("kind", SETTINGS)
def test_no_images_give_an_empty_result(kind, case):
    model, images, labels = case
    result, one = (run(kind, model, images[:n], labels[:n]) for n in (0, 1))
    assert result.images.shape == (0, 1, 8, 8) and result.success_query.shape == (0,)
    assert result.members == one.members
    assert (result.success_by is None) == (one.success_by is None)


@pytest.mark.parametrize("kind", GRADIENTS)
@pytest.mark.parametrize("setting", ["inference", "no_grad", "autocast", "float64", "graph"])
def test_the_callers_settings_change_nothing(kind, setting, case):
    model, images, labels = case
    plain = run(kind, model, images, labels)
    contexts = {
        "inference": torch.inference_mode(),
        "no_grad": torch.no_grad(),
        "autocast": torch.autocast("cpu", torch.bfloat16),
    }
    given = images.clone().requires_grad_(True) if setting == "graph" else images
    try:
        if setting == "float64":
            torch.set_default_dtype(torch.float64)
        with contexts.get(setting, torch.enable_grad()):
            given = given.clone() if setting == "inference" else given
            found = run(kind, model, given, labels.clone())
            assert torch.is_inference_mode_enabled() == (setting == "inference")
            assert torch.is_autocast_enabled("cpu") == (setting == "autocast")
        assert torch.get_default_dtype() == (torch.float64 if setting == "float64" else torch.float)
    finally:
        torch.set_default_dtype(torch.float32)
    assert same(plain, found) and not found.images.requires_grad
    assert not found.images.is_inference()


@pytest.mark.parametrize("kind", ["pgd", "gauntlet", "autoattack", "cw", "square"])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "uint16", "uint32"])
def test_labels_of_any_integer_type_are_taken(kind, dtype, case):
    model, images, labels = case
    plain = run(kind, model, images, labels)
    assert same(plain, run(kind, model, images, labels.to(getattr(torch, dtype))))


BAD = {
    "normalized": (lambda x, y: ((x - 0.5) / 0.3, y), "images range from -1.6"),
    "0 to 255": (lambda x, y: (x * 255, y), "images range from .* to 25"),
    "not a number": (lambda x, y: (x * torch.nan, y), "images range from nan"),
    "infinite": (lambda x, y: (x / 0, y), "images range"),
    "slightly above": (lambda x, y: (x / x.max() * 1.001, y), "to 1.001"),
    "bytes": (lambda x, y: ((x * 255).byte(), y), "images are uint8"),
    "float64": (lambda x, y: (x.double(), y), "images are float64"),
    "half": (lambda x, y: (x.half(), y), "images are float16"),
    "one image": (lambda x, y: (x[0], y[:1]), r"images have shape \[1, 8, 8\]"),
    "array": (lambda x, y: (x.numpy(), y), "images are a ndarray"),
    "few labels": (lambda x, y: (x, y[:5]), r"labels have shape \[5\]; allowed is \[12\]"),
    "column": (lambda x, y: (x, y[:, None]), r"labels have shape \[12, 1\]"),
    "float labels": (lambda x, y: (x, y.float()), "labels are float32"),
    "bool labels": (lambda x, y: (x, y > 3), "labels are bool"),
    "one-hot": (lambda x, y: (x, nn.functional.one_hot(y, 10).float()), "labels are float32"),
    "list": (lambda x, y: (x, y.tolist()), "labels are a list"),
    "negative": (lambda x, y: (x, y - 1 - y.max()), "labels hold -"),
    "too high": (lambda x, y: (x, y + 10), "labels hold 1.*allowed are 0 to 9"),
}


@pytest.mark.parametrize("kind", ["pgd", "gauntlet", "autoattack", "square", "cw", "corruptions"])
@pytest.mark.parametrize("name", BAD)
def test_other_inputs_are_named_in_one_sentence(kind, name, case):
    change, words = BAD[name]
    with pytest.raises(ValueError, match=words) as caught:
        run(kind, case[0], *change(*case[1:]))
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_streams_of_other_images_are_named(case):
    with pytest.raises(ValueError, match="There are 3 streams"):
        run("pgd", *case, streams=Streams.of_images(0, range(3)))


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


ANSWERS = {
    "tuple": lambda logits: (logits,),
    "tuple with loss": lambda logits: (logits.sum(), logits, None),
    "tuple with maps": lambda logits: (logits, torch.zeros(len(logits), 3, 4, 4)),
    "dict": lambda logits: {"logits": logits, "hidden": logits[:, :5]},
    "dict of one": lambda logits: {"out": logits},
    "attribute": lambda logits: SimpleNamespace(logits=logits),
    "map of one place": lambda logits: logits[:, :, None, None],
    "half": lambda logits: logits.half(),
}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("kind", ["pgd", "adaptive", "square"])
def test_answers_of_a_clear_meaning_are_taken(name, kind, case):
    model, images, labels = case
    more = {"straight_through": True} if kind == "adaptive" else {}
    plain = run(kind, model, images, labels, **more)
    found = run(kind, lambda x: ANSWERS[name](model(x)), images, labels, **more)
    if name == "half":
        assert (found.success_query > 0).sum() >= (plain.success_query > 0).sum() - 1
    else:
        assert torch.equal(plain.images, found.images)


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_one_logit_is_that_of_the_second_of_two_classes(shape):
    two, images = network(2), data(24)
    labels = predicted(two, images)

    def one(x):
        logits = two(x)
        return (logits[:, 1] - logits[:, 0]).view(shape)

    for kind in ("pgd", "apgd", "square"):
        assert torch.equal(
            run(kind, two, images, labels).success_query > 0,
            run(kind, one, images, labels).success_query > 0,
        )
    with pytest.raises(ValueError, match="labels hold 2, but the model has 2 classes"):
        run("pgd", one, images, labels + 1 + labels.eq(0))


UNCLEAR = {
    "two of many": lambda logits: (logits, torch.zeros(len(logits), 512)),
    "classes": lambda logits: logits.argmax(1),
    "one for all": lambda logits: logits.mean(),
    "other number": lambda logits: logits[:-1],
    "map": lambda logits: logits[:, :, None, None].expand(-1, -1, 2, 2),
    "text": lambda logits: "a cat",
    "nothing": lambda logits: None,
    "empty": lambda logits: {},
    "array": lambda logits: logits.detach().numpy(),
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_other_answers_are_named_in_one_sentence(name, case):
    model, images, labels = case
    with pytest.raises(ValueError, match=r"The model answers 16 images with .*; allowed are") as no:
        run("pgd", lambda x: UNCLEAR[name](model(x)), images, labels)
    assert "\n" not in str(no.value)


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


WRONG = [
    ("pgd", {"loss": "mse"}, "allowed are ce, margin, dlr"),
    ("apgd", {"loss": "mse"}, "allowed are ce, margin, dlr"),
    ("apgd_t", {"loss": "ce"}, "allowed are dlr, margin"),
    ("pgd", {"restarts": 2, "early_stop": False}, "restarts is 2 with early_stop off"),
    ("apgd", {"restarts": 2, "early_stop": False}, "restarts is 2 with early_stop off"),
    ("pgd", {"steps": 2.5}, "steps is 2.5"),
    ("pgd", {"steps": None}, "steps is None"),
    ("pgd", {"step": -0.1}, "step is -0.1"),
    ("pgd", {"step": float("nan")}, "step is nan"),
    ("fgsm", {"step": float("inf")}, "step is inf"),
    ("pgd", {"eps": float("nan")}, "eps is nan"),
    ("apgd", {"norm": "l3"}, "norm is 'l3'"),
    ("mifgsm", {"momentum": -1.0}, "momentum is -1.0"),
    ("spsa", {"samples": 3}, "samples is 3"),
]


@pytest.mark.parametrize(("kind", "change", "words"), WRONG)
def test_wrong_settings_are_named(kind, change, words, case):
    with pytest.raises(ValueError, match=words):
        run(kind, *case, **change)


@pytest.mark.parametrize(("kind", "classes"), [("pgd", 2), ("apgd", 2), ("apgd_t", 3)])
def test_the_ratio_of_logits_needs_more_classes(kind, classes):
    model, images = network(classes), data()
    with pytest.raises(ValueError, match=f"the model has {classes}: use margin"):
        run(kind, model, images, predicted(model, images), loss="dlr")


def test_a_function_of_ones_own_is_checked_too(monkeypatch, case):
    def mine(model, images, labels, *, streams):
        return labels.dtype

    monkeypatch.setattr("gauntlet.attacks.load", lambda family, name: mine)
    model, images, labels = case
    assert bind({"kind": "mine"})(model, images, labels.to(torch.uint8)) == torch.int64
    with pytest.raises(ValueError, match="images range"):
        bind({"kind": "mine"})(model, images + 1, labels)


@pytest.mark.parametrize("kind", SETTINGS)
def test_settings_are_still_read_from_the_function(kind):
    names = inspect.signature(load("attacks", kind)).parameters
    assert list(names)[:4] == ["model", "images", "labels", "streams"]
    assert set(SETTINGS[kind]) <= set(names)
