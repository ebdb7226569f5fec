"""What every attack owes: an admissible example, an untouched model, the same bytes again."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gauntlet.attacks import bind
from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import admissible, distance
from gauntlet.training import loop
from tests.helpers import tiny

FIXED = {
    "fgsm": {"step": 0.1, "random_start": True},
    "pgd": {"steps": 3, "step": 0.05, "restarts": 2},
    "mifgsm": {"steps": 3, "step": 0.05},
    "apgd": {"steps": 5},
    "apgd_t": {"steps": 4, "targets": 2, "loss": "margin"},
    "square": {"queries": 6},
    "adaptive": {"steps": 3, "restarts": 1, "queries": 4},
    "spsa": {"steps": 2, "samples": 4},
}
MINIMAL = {
    "fab_t": {"steps": 3, "targets": 2},
    "fmn": {"steps": 4},
    "deepfool": {"steps": 4},
    "ddn": {"steps": 4},
    "cw": {"steps": 4, "search_steps": 2},
    "rays": {"queries": 60},
    "hopskipjump": {"steps": 2, "init_evals": 4, "max_evals": 8, "tries": 4},
}
NORMS = {
    **dict.fromkeys(("apgd", "apgd_t", "fab_t", "fmn"), ("linf", "l2", "l1")),
    **dict.fromkeys(("ddn", "cw"), ("l2",)),
    "rays": ("linf",),
}
SHAPES = st.sampled_from([(1, 2, 2), (3, 5, 4), (1, 1, 2), (2, 3, 7)])


def _model(features: int, classes: int, dtype):
    stream = torch.Generator().manual_seed(features * classes)
    first = torch.randn(features, 12, generator=stream).to(dtype)
    last = torch.randn(12, classes, generator=stream).to(dtype)
    return lambda images: (torch.relu(images.flatten(1).to(dtype) @ first) @ last).float()


def _case(shape, count: int, classes: int, seed: int, dtype=torch.float32):
    images = torch.rand((count, *shape), generator=torch.Generator().manual_seed(seed))
    images[0].round_()  # pixels at the ends of the range too
    model = _model(images[0].numel(), classes, dtype)
    return model, images, model(images).argmax(1)


def _attack(kind: str, norm: str, **more):
    return bind({"kind": kind, "norm": norm} | FIXED.get(kind, MINIMAL.get(kind)) | more)


@settings(max_examples=12, deadline=None)
@given(
    shape=SHAPES,
    count=st.sampled_from([1, 3, 7]),
    classes=st.sampled_from([2, 5, 100]),
    eps=st.sampled_from([0.0, 0.03, 0.3, 1.0]),
    low=st.booleans(),
    seed=st.integers(0, 99),
)
@pytest.mark.parametrize("kind", FIXED)
def test_examples_of_fixed_eps_are_admissible(kind, shape, count, classes, eps, low, seed):
    model, images, labels = _case(shape, count, classes, seed)
    kept, truth = images.clone(), labels.clone()
    batched, streams = BatchedModel(model, 4, "bfloat16" if low else "float32"), _streams(count)
    for norm in NORMS.get(kind, ("linf", "l2")):
        result = _attack(kind, norm, eps=eps)(batched, images, labels, streams=streams)
        _owed(result, images)
        assert admissible(result.images, images, norm, eps).all()
        assert eps > 0 or torch.equal(result.images, images)
        success = batched(result.images).argmax(1) != labels
        assert torch.equal(success, result.success_query > 0)
    assert torch.equal(images, kept) and torch.equal(labels, truth)


@settings(max_examples=10, deadline=None)
@given(
    shape=SHAPES,
    count=st.sampled_from([1, 3, 7]),
    classes=st.sampled_from([2, 5, 100]),
    seed=st.integers(0, 99),
)
@pytest.mark.parametrize("kind", MINIMAL)
def test_nearest_examples_are_images_and_misclassified(kind, shape, count, classes, seed):
    """Such examples lie on a boundary, where logits tie but for their last bits.

    In float32 these bits depend on how many images share a batch; what float64 gives, rounded,
    does not.
    """
    model, images, labels = _case(shape, count, classes, seed, torch.float64)
    for norm in NORMS.get(kind, ("linf", "l2")):
        result = _attack(kind, norm)(
            BatchedModel(model, 4), images, labels, streams=_streams(count)
        )
        _owed(result, images)
        success = result.success_query > 0
        assert torch.equal(model(result.images).argmax(1) != labels, success)
        assert (distance(result.images, images, norm)[~success] == 0).all()


def _streams(count: int) -> Streams:
    return Streams.of_images(0, range(count), "all")


def _owed(result, images) -> None:
    assert result.images.dtype == torch.float32 and result.images.shape == images.shape
    assert result.images.isfinite().all()
    assert result.images.min() >= 0 and result.images.max() <= 1
    for count in (result.forwards, result.backwards, result.success_query):
        assert count.dtype == torch.int64 and (count >= 0).all()
    assert (result.success_query <= result.forwards).all()


@pytest.fixture(scope="module")
def network():
    model = tiny.model()
    loop.fit(model, tiny.spec("adversarial", epochs=3), tiny.part(64), tiny.part(32, 1))
    part = tiny.part(60, 2)
    return model.eval().requires_grad_(False), part.images, part.labels


@pytest.mark.parametrize("kind", [*FIXED, *MINIMAL, "autoattack", "gauntlet"])
def test_same_streams_same_bytes_and_the_model_stays(kind, network):
    model, images, labels = network
    state = {key: value.clone() for key, value in model.state_dict().items()}
    more = {"eps": 0.2} if kind in FIXED or kind in ("autoattack", "gauntlet") else {}
    more |= {"queries": 10} if kind == "gauntlet" else {}
    extra = FIXED.get(kind, MINIMAL.get(kind, {}))
    norm = NORMS.get(kind, ("l2",))[0]
    attack = bind({"kind": kind, "norm": norm} | extra | more)
    if kind == "autoattack":
        more["eps"] = 0.9  # so that all fall before thousands of queries
    first, again = (attack(model, images, labels, streams=_streams(len(labels))) for _ in range(2))
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.forwards, again.forwards)
    assert not model.training
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())


def test_stronger_attacks_succeed_more_often(network):
    """noise >= FGSM >= PGD >= PGD with restarts >= APGD >= ensemble, in robust accuracy."""
    model, images, labels = network
    eps = {"norm": "linf", "eps": 0.25}
    ladder = [
        {"kind": "gaussian_noise", "sigma": 0.1, "draws": 3},
        {"kind": "fgsm", "step": 0.25, **eps},
        {"kind": "pgd", "steps": 20, "step": 0.03, **eps},
        {"kind": "pgd", "steps": 20, "step": 0.03, "restarts": 4, **eps},
        {"kind": "apgd", "steps": 40, "restarts": 2, **eps},
        {"kind": "gauntlet", "queries": 300, **eps},
    ]
    batched, active = BatchedModel(model), []
    for step in ladder:
        found = bind(step)(batched, images, labels, streams=_streams(60)).images
        active.append(int((batched(found).argmax(1) == labels).sum()))
    one = 1  # image: luck of a random start
    assert all(after <= before + one for before, after in zip(active, active[1:], strict=False))
    assert active[-1] < active[0]
