"""Nearest examples: exact where the exact distance is known, and never further than a search."""

import pytest
import torch

from gauntlet.attacks import bind
from gauntlet.attacks.base.losses import margin
from gauntlet.attacks.base.norm_balls import balls
from gauntlet.attacks.base.state import MinimumNormState
from gauntlet.core.batched_model import BatchedModel
from gauntlet.core.image_rng import Streams
from gauntlet.core.rng import generator
from gauntlet.core.threat_models import admissible, distance
from gauntlet.stages import check_attack
from gauntlet.training import loop
from tests.helpers import tiny

CASES = [("ddn", "l2", 0.02), pytest.param("cw", "l2", 0.03, marks=pytest.mark.slow)]
CASES += [("fmn", norm, 0.02) for norm in ("linf", "l2", "l1")]
CPU = torch.device("cpu")
FAR = {"linf": 0.125, "l2": 1.0, "l1": 4.0}  # beyond the random network's nearest examples


def _run(kind, norm, model, images, labels, rows=None, **more):
    streams = Streams.of_images(0, range(len(labels)), "minimal")
    rows = torch.arange(len(labels)) if rows is None else rows
    attack = bind({"kind": kind, "norm": norm} | more)
    return attack(BatchedModel(model), images[rows], labels[rows], streams=streams.select(rows))


@pytest.fixture(scope="module")
def trained():
    model, part = tiny.model(), tiny.part(64)
    loop.fit(model, tiny.spec(epochs=3), part, tiny.part(32, 1))
    model.eval().requires_grad_(False)
    images = tiny.part(24, 2).images
    return model, images, model(images).argmax(1)


@pytest.mark.parametrize(("kind", "norm", "slack"), CASES)
@pytest.mark.parametrize("make", [check_attack.linear, check_attack.prototypes])
def test_exact_distances_are_reached(kind, norm, slack, make):
    oracle = make(norm, CPU)
    result = _run(kind, norm, oracle.model, oracle.images, oracle.labels)
    ratio = distance(result.images, oracle.images, norm) / oracle.exact
    assert (oracle.model(result.images).argmax(1) != oracle.labels).all()
    assert ratio.min() >= 1 - 1e-4 and ratio.max() <= 1 + slack
    assert (result.forwards > 0).all() and (result.success_query > 0).all()


def _generic(norm, classes, scale, below):
    """Linear logits without any symmetry, of a chosen scale and all of them far below 0."""
    stream = generator(0, "generic", classes)
    weights = torch.randn(classes, 64, generator=stream)
    labels = torch.arange(32) % classes
    toward = (weights - weights.mean(0))[labels]
    depth = 0.03 + 0.05 * torch.rand(32, 1, generator=stream)
    images = (0.5 + depth * toward / toward.norm(dim=1, keepdim=True)).view(32, 1, 8, 8)

    def model(points):
        return scale * (points - 0.5).flatten(1) @ weights.T - below

    return check_attack._oracle(
        "generic", norm, model, images, model(images) / scale, weights
    ), weights


@pytest.mark.parametrize(("kind", "norm", "slack"), CASES)
@pytest.mark.parametrize("classes", [2, 10])
@pytest.mark.parametrize(("scale", "below"), [(0.1, 1.0), (1.0, 50.0), (100.0, 5000.0)])
def test_the_scale_and_sign_of_logits_do_not_matter(kind, norm, slack, classes, scale, below):
    oracle, weights = _generic(norm, classes, scale, below)
    assert oracle.exact.max() < 0.4, "the box must be slack"
    result = _run(kind, norm, oracle.model, oracle.images, oracle.labels)
    far = distance(result.images, oracle.images, norm)
    found = oracle.model(result.images).argmax(1)
    assert (found != oracle.labels).all()
    assert (far / oracle.exact).min() >= 1 - 1e-2  # float32 logits near 5000 are coarse
    # The class of highest logit need not be the nearest, but the way to it must be the shortest.
    rows, apart = torch.arange(len(far)), weights[oracle.labels] - weights[found]
    logits = oracle.model(oracle.images).double() / scale
    gap = logits[rows, oracle.labels] - logits[rows, found]
    to_found = gap / torch.linalg.vector_norm(apart.double(), check_attack.DUAL[norm], dim=1)
    assert (far / to_found).max() <= 1 + slack
    assert classes > 2 or (far / oracle.exact).max() <= 1 + slack


@pytest.mark.parametrize(("kind", "norm", "slack"), CASES)
def test_a_boundary_beyond_a_face_of_the_box_is_reached(kind, norm, slack):
    """The steep pixel has little room: a linear model's guess is always short of the boundary."""

    def model(images):
        flat = images.flatten(1)
        gain = 3 * (flat[:, 0] - 0.99) + flat[:, 1] - 0.2 - 0.3
        return torch.stack([torch.zeros_like(gain), gain], 1)

    images, labels = torch.tensor([0.99, 0.2]).view(1, 1, 1, 2), torch.zeros(1, dtype=torch.int64)
    result = _run(kind, norm, model, images, labels)
    assert model(result.images).argmax(1).item() == 1
    nearest = torch.tensor([1.0, 0.47]).view(1, 1, 1, 2)
    exact = distance(nearest, images, norm)
    assert (distance(result.images, images, norm) <= exact * (1 + slack)).all()


def _network():
    """A random ReLU net of ten classes, its images and labels."""
    stream = generator(0, "network")
    sizes = [(64, 64), (64, 64), (64, 10)]
    layers = [torch.randn(*size, generator=stream) * (2 / size[0]) ** 0.5 for size in sizes]

    def model(images):
        hidden = (images - 0.5).flatten(1)
        return ((hidden @ layers[0]).relu() @ layers[1]).relu() @ layers[2]

    images = torch.rand(16, 1, 8, 8, generator=stream)
    return model, images, model(images).argmax(1)


def _searched(model, images, labels, norm, restarts=3, steps=80, halvings=11):
    """Bisect each image's radius by long climbs from several starts; the nearest example counts."""
    state = MinimumNormState(BatchedModel(model), images, labels, norm)
    rows = torch.arange(len(images)).repeat(restarts)
    streams = Streams.of_images(3, range(len(images)), "searched").select(rows)
    high = torch.full((len(images),), FAR[norm]).double()
    low = torch.zeros_like(high)
    for halving in range(halvings):
        radius = (low + high) / 2
        area = balls(images[rows], norm, radius[rows])
        draw = streams.fork(halving, torch.arange(restarts).repeat_interleave(len(images)))
        examples = area.random_start(draw)
        examples[: len(images)] = images
        for step in range(steps):
            gradient, _, _ = state.gradient(
                rows, examples, lambda logits, places: margin(logits, labels[rows[places]])
            )
            examples = area.ascend(examples, gradient, radius[rows] * (1 - step / steps))
        state.judge(rows, examples)
        success = state.distance() <= radius * (1 + 1e-6)
        low = torch.where(success, low, radius)
        high = torch.where(success, state.distance().double(), high)
    assert state.success.all()
    return state.distance()


@pytest.mark.parametrize(("kind", "norm", "slack"), CASES)
def test_no_further_than_a_long_search(kind, norm, slack):
    model, images, labels = _network()
    assert len(labels.unique()) > 2
    far = distance(_run(kind, norm, model, images, labels).images, images, norm)
    assert (far > 0).all()
    assert (far / _searched(model, images, labels, norm)).median() <= 1.05


@pytest.mark.parametrize(("kind", "norm", "slack"), CASES)
def test_nearest_examples_of_a_network(kind, norm, slack, trained):
    model, images, labels = trained
    result = _run(kind, norm, model, images, labels)
    again = _run(kind, norm, model, images, labels)
    assert torch.equal(result.images, again.images)
    assert (model(result.images).argmax(1) != labels).all()
    far = distance(result.images, images, norm)
    assert admissible(result.images, images, norm, far.max().item()).all()
    short = 0.8 * far.median().item()  # a strong attack well inside finds less than half
    strong = {"kind": "pgd", "norm": norm, "eps": short, "steps": 60, "step": short / 15}
    if norm != "l1":
        streams = Streams.of_images(1, range(len(labels)), "pgd")
        found = bind(strong)(BatchedModel(model), images, labels, streams=streams).images
        assert (model(found).argmax(1) != labels).float().mean() < 0.5


@pytest.mark.parametrize(("kind", "norm", "slack"), CASES)
def test_an_image_does_not_depend_on_its_neighbors(kind, norm, slack, trained):
    model, images, labels = trained
    whole = distance(_run(kind, norm, model, images, labels).images, images, norm)
    rows = torch.tensor([7, 20])
    pair = distance(_run(kind, norm, model, images, labels, rows).images, images[rows], norm)
    assert torch.allclose(pair, whole[rows], rtol=0.02)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("ddn", {"norm": "linf"}),
        ("ddn", {"steps": 0}),
        ("ddn", {"gamma": 1.0}),
        ("fmn", {"norm": "l3"}),
        ("fmn", {"restarts": 0}),
        ("cw", {"norm": "l1"}),
        ("cw", {"search_steps": 0}),
        ("cw", {"learning_rate": 0.0}),
        ("cw", {"confidence": -1.0}),
    ],
)
def test_bad_settings_are_named(kind, change, trained):
    with pytest.raises(ValueError, match=next(iter(change))):
        _run(
            kind,
            **({"norm": "l2"} | change),
            model=trained[0],
            images=trained[1],
            labels=trained[2],
        )


def test_a_margin_of_negative_logits_is_no_success():
    """A known fault elsewhere: logits below 0 times a mask look as if the label had lost."""

    def model(images):
        return -10 - torch.stack([images.flatten(1).sum(1), 8 - images.flatten(1).sum(1)], 1)

    images, labels = torch.full((3, 1, 2, 2), 0.2), torch.zeros(3, dtype=torch.int64)
    for kind in ("cw", "ddn", "fmn"):
        result = _run(kind, "l2", model, images, labels)
        far = distance(result.images, images, "l2")
        # -sum against sum - 8: equal where the sum is 4, beyond [0, 1]: nothing can be found
        assert (far == 0).all() and (result.success_query == 0).all()
