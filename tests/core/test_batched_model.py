"""A model in batches: chunks, precision, padding and counting do not change its answers."""

import pytest
import torch

from gauntlet.attacks import bind
from gauntlet.attacks.base.losses import ce, choose_loss, dlr, margin, targeted_dlr
from gauntlet.attacks.base.state import AttackState
from gauntlet.core.batched_model import BatchedModel, NonFiniteLogits, as_batched
from gauntlet.core.image_rng import Streams
from tests.helpers import tiny

PGD = {"kind": "pgd", "norm": "linf", "eps": 0.6, "steps": 10, "step": 0.1, "restarts": 3}


@pytest.fixture(scope="module")
def case():
    model = tiny.model(tiny.CNN, classes=4).eval().requires_grad_(False)
    images = tiny.part(50).images
    return model, images, model(images).argmax(1)


@pytest.mark.parametrize("batch", [1, 3, 8, 50, 64])
def test_chunks_change_nothing(batch, case):
    model, images, labels = case
    batched, whole = BatchedModel(model, batch), BatchedModel(model, 50)
    assert torch.allclose(batched(images), model(images), atol=1e-6)
    ask = [one.gradient(images, lambda s, rows: ce(s, labels[rows])) for one in (batched, whole)]
    for some, other in zip(*ask, strict=True):
        assert torch.allclose(some, other, atol=1e-6)
    gradient, values, logits = ask[0]
    assert gradient.shape == images.shape and values.shape == (50,) and logits.shape == (50, 4)


def test_parameters_get_no_gradient_and_images_stay(case):
    model = tiny.model(classes=4).eval()
    images = case[1].clone()
    BatchedModel(model).gradient(images, lambda logits, rows: logits.sum(1))
    assert all(weight.grad is None for weight in model.parameters())
    assert torch.equal(images, case[1]) and not images.requires_grad


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_lower_precision_never_invents_a_success(precision, case):
    model, images, labels = case
    streams = Streams.of_images(0, range(50), "lens")
    found = bind(PGD)(BatchedModel(model, 16, precision), images, labels, streams=streams)
    success = model(found.images).argmax(1) != labels
    assert torch.equal(success, found.success_query > 0) and success.any()
    exact = bind(PGD)(BatchedModel(model, 16), images, labels, streams=streams)
    assert success.float().mean() >= (exact.success_query > 0).float().mean() - 0.1


def test_low_precision_lies_are_judged_again():
    """A model that errs in bfloat16 only: nothing may count."""

    def model(images):
        low = torch.is_autocast_enabled("cpu")
        sums = images.flatten(1).sum(1)
        return torch.stack([sums, sums - 1 + 2 * low], 1)

    images, labels = torch.full((5, 1, 2, 2), 0.5), torch.zeros(5, dtype=torch.int64)
    state = AttackState(BatchedModel(model, 8, "bfloat16"), images, labels)
    _, _, missed = state.gradient(
        torch.arange(5), images, lambda s, places: margin(s, labels[places])
    )
    assert not missed.any() and not state.success.any() and state.forwards.tolist() == [2] * 5


def test_logits_that_are_no_numbers_name_their_image():
    def model(images):
        logits = images.flatten(1)[:, :2].clone()
        logits[images[:, 0, 0, 0] > 0.9] = torch.nan
        return logits

    images = torch.full((40, 1, 2, 2), 0.5)
    images[23] = 1.0
    with pytest.raises(NonFiniteLogits, match="image 23"):
        BatchedModel(model, 16)(images)
    state = AttackState(BatchedModel(model, 16), images, torch.zeros(40, dtype=torch.int64))
    with pytest.raises(NonFiniteLogits, match="image 23"):
        state.judge(torch.tensor([5, 23]), images[[5, 23]])


def _weighed(model, images, labels, precision: str):
    def objective(logits, rows):
        return torch.nn.functional.cross_entropy(logits, labels[rows], reduction="none")

    return BatchedModel(model, 16, precision).gradient(images, objective)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("sure", [1, 10, 25])
def test_small_gradients_of_a_sure_model_are_not_taken_for_zero(precision, sure, case):
    """They are below the smallest number of float16, and all the same show the way."""
    bare, images, _ = case

    def model(images):
        logits = bare(images)
        return sure * logits * 4 / logits.detach().std(1, keepdim=True)

    labels = model(images).argmax(1)
    exact, low = (_weighed(model, images, labels, name)[0] for name in ("float32", precision))
    moved = exact.flatten(1).abs().amax(1) > 0
    assert moved.any() and (low.flatten(1).abs().amax(1) > 0)[moved].all()
    angles = torch.cosine_similarity(
        exact.flatten(1).double() / exact.flatten(1).abs().amax(1, keepdim=True),
        low.flatten(1).double() / low.flatten(1).abs().amax(1, keepdim=True),
    )
    assert angles[moved].median() > 0.95


def test_only_the_images_that_overflow_are_asked_again(case):
    """What float32 gives for one image does not depend on its neighbors."""
    seen = []

    def model(images):
        seen.append(len(images))
        bright = images[:, :1].amax((2, 3)) > 0.99
        logits = images.flatten(1)[:, :3] * torch.where(bright, 1e6, 1.0)
        return logits.half() if torch.is_autocast_enabled("cpu") else logits

    images, labels = torch.rand(16, 1, 8, 8) * 0.9, torch.zeros(16, dtype=torch.int64)
    images[[3, 11], 0, 4, 4] = 1.0
    half = _weighed(model, images, labels, "float16")
    exact = _weighed(model, images, labels, "float32")
    assert seen == [16, 8, 16]  # two images, filled up to a whole chunk
    for found, right in zip(half, exact, strict=True):
        assert found.isfinite().all()
        assert torch.allclose(found, right, rtol=0.01, atol=1e-3)


def test_overflow_in_a_lower_precision_is_asked_again_in_float32():
    def model(images):
        return (images.flatten(1) @ torch.ones(4, 2)) * 1e5  # beyond float16

    images = torch.full((8, 1, 2, 2), 0.5)
    batched = BatchedModel(model, 8, "float16")
    assert batched.gradient(images, lambda logits, rows: logits.sum(1))[0].isfinite().all()


def test_a_random_models_gradient_is_averaged():
    stream = torch.Generator().manual_seed(0)

    def model(images):
        noise = torch.randn(len(images), 1, generator=stream)
        return torch.cat([images.flatten(1).sum(1, keepdim=True) * (1 + noise), noise], 1)

    images, labels = torch.rand(64, 1, 2, 2), torch.ones(64, dtype=torch.int64)
    spread = []
    for samples in (1, 64):
        state = AttackState(as_batched(model).averaged_over(samples), images, labels)
        gradient, _, _ = state.gradient(
            torch.arange(64), images, lambda logits, places: logits[:, 0]
        )
        spread.append(gradient.std().item())
        assert state.forwards.tolist() == state.backwards.tolist() == [samples] * 64
    assert spread[1] < 0.3 * spread[0]


@pytest.mark.parametrize("change", [{"batch": 0}, {"precision": "int8"}, {"samples": 0}])
def test_bad_settings_are_named(change, case):
    with pytest.raises(ValueError, match=next(iter(change))):
        BatchedModel(case[0], **change)


def test_losses_know_how_many_classes_they_need():
    labels = torch.zeros(2, dtype=torch.int64)
    with pytest.raises(ValueError, match="needs 3 classes or more; the model has 2"):
        choose_loss("dlr")(torch.rand(2, 2), labels)
    with pytest.raises(ValueError, match="needs 4 classes or more; the model has 3"):
        targeted_dlr(torch.rand(2, 3), labels, labels)
    with pytest.raises(ValueError, match="allowed are ce, margin, dlr"):
        choose_loss("mse")


def test_margins_and_ratios_by_hand():
    logits = torch.tensor([[3.0, 1.0, -1.0, -5.0], [-4.0, -1.0, -2.0, -3.0]])
    labels = torch.tensor([0, 0])
    assert margin(logits, labels).tolist() == [-2.0, 3.0]
    assert dlr(logits, labels).tolist() == pytest.approx([-2 / 4, 3 / 2])
    aims = torch.tensor([1, 2])
    spread = [3 - (-1 - 5) / 2, -1 - (-3 - 4) / 2]
    wanted = [(1 - 3) / spread[0], (-2 + 4) / spread[1]]
    assert targeted_dlr(logits, labels, aims).tolist() == pytest.approx(wanted)
    assert torch.allclose(dlr(7 * logits, labels), dlr(logits, labels))


def test_of_one_images_candidates_the_best_is_kept():
    images, labels = torch.full((2, 1, 1, 2), 0.5), torch.tensor([0, 0])

    def model(points):
        flat = points.flatten(1)
        return torch.stack([flat[:, 0], flat[:, 1]], 1)

    state = AttackState(model, images, labels)
    rows = torch.tensor([0, 1, 0, 1, 0])
    points = torch.tensor([[0.5, 0.4], [0.5, 0.1], [0.5, 0.9], [0.5, 0.3], [0.5, 0.6]])
    points = points.view(5, 1, 1, 2)
    state.judge(rows, points, lambda logits, places: margin(logits, labels[rows[places]]))
    assert state.success.tolist() == [True, False]
    assert state.best[0, 0, 0, 1] == pytest.approx(0.9) or state.best[0, 0, 0, 1] == 0.6
    assert state.best[1, 0, 0, 1] == pytest.approx(0.3)
    assert state.forwards.tolist() == [3, 2] and state.success_query.tolist() == [3, 0]
