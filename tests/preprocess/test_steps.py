"""Steps before a model: what they do to images is known, and so are their gradients."""

import json

import numpy as np
import pytest
import torch
from torch.nn.functional import affine_grid, grid_sample

from gauntlet.core.errors import GauntletError
from gauntlet.core.plugin_facts import facts
from gauntlet.core.plugins import ENVIRONMENT, available
from gauntlet.core.rng import fixed_draws, generator
from gauntlet.preprocess import make_step
from gauntlet.preprocess.base.content_streams import content_streams
from gauntlet.preprocess.base.fronts import Detector
from gauntlet.preprocess.base.material import Material
from tests.helpers import tiny

QUICK = {
    "deep_image_prior": {"iterations": 5, "channels": 4},
    "denoising_autoencoder": {"epochs": 2},
}
STEPS = sorted(available("preprocess"))
CHANGING = [name for name in STEPS if name != "feature_squeezing"]  # which rejects


def step(kind: str, shape=(1, 8, 8), seed: int = 0, **settings):
    return make_step({"kind": kind, **QUICK.get(kind, {}), **settings}, shape, seed)


def pictures(count: int = 6, shape=(1, 8, 8)) -> torch.Tensor:
    return torch.rand((count, *shape), generator=generator(0, "pictures"))


@pytest.mark.parametrize("kind", CHANGING)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 7, 10)])
def test_images_of_any_shape_keep_it_and_let_a_gradient_through(kind, shape):
    images = pictures(shape=shape).requires_grad_(True)
    made = step(kind, shape)(images)
    assert made.shape == images.shape and bool(made.isfinite().all())
    (gradient,) = torch.autograd.grad(made.square().sum(), images)
    assert bool(gradient.isfinite().all())
    exact = facts("preprocess", kind).get("GRADIENT", "exact") == "exact"
    assert bool(gradient.any()) == exact


@pytest.mark.parametrize("kind", CHANGING)
def test_an_image_does_not_depend_on_its_batch(kind):
    images, own = pictures(), step(kind)
    with fixed_draws(0, "one"), torch.no_grad():
        whole = own(images)
    if facts("preprocess", kind).get("RANDOM"):
        with fixed_draws(0, "two"), torch.no_grad():
            assert not torch.allclose(whole, own(images))
        return
    with torch.no_grad():
        assert torch.allclose(whole[2:4], own(images[2:4]), atol=1e-5)


@pytest.mark.parametrize("kind", CHANGING)
def test_a_seed_gives_the_same_step(kind):
    images = pictures()
    with torch.no_grad():
        made = []
        for seed in (3, 3):
            own = step(kind, seed=seed)
            with fixed_draws(1, "draw"):
                made.append(own(images))
    assert torch.equal(*made)


@pytest.mark.parametrize("kind", ["total_variation", "random_resize", "denoising_autoencoder"])
def test_exact_gradients_agree_with_differences(kind):
    images, own = pictures(2).double(), step(kind).double()

    def value(at):
        with fixed_draws(0, "same"):
            return own(at).square().sum()

    if kind == "random_resize":  # its draws are float32
        images, own = images.float(), own.float()
    leaf = images.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(value(leaf), leaf)
    direction = torch.randn(images.shape, generator=generator(1, "way"), dtype=images.dtype)
    small = 1e-2 if images.dtype == torch.float32 else 1e-5
    found = (value(images + small * direction) - value(images - small * direction)) / (2 * small)
    assert float(found.detach()) == pytest.approx(float((gradient * direction).sum()), rel=1e-2)


def test_bit_depth_rounds_to_its_levels():
    images = torch.tensor([0.0, 0.16, 0.17, 0.6, 1.0]).view(1, 1, 1, 5)
    expected = torch.tensor([0.0, 0.0, 1 / 3, 2 / 3, 1.0]).view(1, 1, 1, 5)
    assert torch.allclose(step("bit_depth", (1, 1, 5), bits=2)(images), expected)
    assert torch.equal(
        step("bit_depth", (1, 1, 5), bits=1)(images).unique(), torch.tensor([0.0, 1])
    )


def test_the_median_drops_a_single_bright_pixel_and_knows_numpy():
    spot = torch.zeros(1, 1, 5, 5)
    spot[0, 0, 2, 2] = 1
    assert not bool(step("median", (1, 5, 5), window=3)(spot).any())
    images = pictures(1)
    framed = np.pad(images[0, 0].numpy(), 1, mode="edge")
    expected = np.array(
        [[np.median(framed[i : i + 3, j : j + 3]) for j in range(8)] for i in range(8)]
    )
    assert np.allclose(step("median", window=3)(images)[0, 0], expected)


def test_jpeg_loses_more_at_a_lower_quality_and_cuts_with_a_gradient():
    images = pictures()
    lost = [float((step("jpeg", quality=q)(images) - images).abs().mean()) for q in (100, 75, 10)]
    assert lost[0] < 0.01 < lost[1] < lost[2]


@pytest.mark.parametrize(
    ("weight", "expected"), [(0.1, (0.1, 0.9)), (0.3, (0.3, 0.7)), (0.9, (0.5, 0.5))]
)
def test_total_variation_of_two_pixels_is_the_closed_form(weight, expected):
    """The minimum of |u - x|^2 / 2 + w |u1 - u2| moves both pixels by w, until they meet."""
    images = torch.tensor([0.0, 1.0]).view(1, 1, 1, 2)
    made = step("total_variation", (1, 1, 2), weight=weight, steps=400)(images)
    assert made.flatten().tolist() == pytest.approx(expected, abs=2e-3)


def test_random_resize_is_pytorchs_sampling_and_shrinks_at_most_to_the_least():
    images = torch.ones(64, 1, 16, 16)
    with fixed_draws(0, "resize"):
        made = step("random_resize", (1, 16, 16), least=0.5)(images)
    assert float(made.min()) >= 0 and float(made.max()) <= 1 + 1e-6
    kept = made.mean((1, 2, 3))  # the share of the frame that the image fills
    assert float(kept.min()) >= 0.25 - 1e-3 and float(kept.max()) <= 1
    assert float(kept.std()) > 0.1
    with fixed_draws(0, "resize"):
        size, down, right = torch.rand(3, 5)
    moves, size = torch.zeros(5, 2, 3), 0.5 + 0.5 * size
    moves[:, 0, 0] = moves[:, 1, 1] = 1 / size
    moves[:, 0, 2], moves[:, 1, 2] = ((1 - 2 * at) * (1 - size) / size for at in (right, down))
    images = pictures(5, (3, 16, 10))
    grid = affine_grid(moves, list(images.shape), align_corners=False)
    with fixed_draws(0, "resize"):
        made = step("random_resize", (3, 16, 10), least=0.5)(images)
    assert torch.allclose(made, grid_sample(images, grid, align_corners=False), atol=1e-5)
    near = step("random_resize", (1, 16, 16), least=0.999999)(pictures(4, (1, 16, 16)))
    assert torch.allclose(near, pictures(4, (1, 16, 16)), atol=1e-3)


def test_deep_image_prior_comes_nearer_with_iterations_and_stands_still_for_gradients():
    images = tiny.part(8).images
    far, near = (
        float((step("deep_image_prior", iterations=n, channels=8)(images) - images).abs().mean())
        for n in (2, 80)
    )
    assert near < far / 2
    leaf = images.clone().requires_grad_(True)
    weights = torch.randn(images.shape, generator=generator(0, "weights"))
    (gradient,) = torch.autograd.grad((step("deep_image_prior")(leaf) * weights).sum(), leaf)
    assert torch.equal(gradient, weights)  # as if it changed nothing


def test_a_content_stream_belongs_to_the_image_alone():
    images = pictures()
    changed = images.clone()
    changed[1, 0, 7, 7] = torch.nextafter(changed[1, 0, 7, 7], torch.tensor(2.0))
    first, second = content_streams(images, 0), content_streams(changed, 0)
    assert (first.states == second.states).tolist() == [True, False, True, True, True, True]
    assert torch.equal(content_streams(images[3:4], 0).states, first.states[3:4])
    assert not bool((content_streams(images, 1).states == first.states).any())
    swapped = images.flip(3)
    assert not bool((content_streams(swapped, 0).states == first.states).any())


def material(hostile: bool = True) -> Material:
    train, validation = tiny.part(64, 1), tiny.part(40, 2)
    noise = 0.2 * torch.randn(train.images.shape, generator=generator(0, "noise")).sign()
    worse = (train.images + noise).clamp(0, 1) if hostile else None
    model = tiny.model().eval().requires_grad_(False)
    return Material(model, train.images, validation.images, generator(0, "fit"), worse)


def test_the_autoencoder_learns_to_take_perturbations_away():
    learned, given = step("denoising_autoencoder", epochs=60, batch=16), material()
    losses = learned.fit(given)["losses"]
    assert len(losses) == 60 and losses[-1] < losses[0] / 5
    with torch.no_grad():
        left = (learned(given.hostile) - given.images).square().mean()
    assert float(left) < float((given.hostile - given.images).square().mean())


def test_fitting_is_the_same_twice():
    states = []
    for _ in range(2):
        learned = step("denoising_autoencoder")
        learned.fit(material())
        states.append(learned.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_the_squeezer_rejects_its_share_of_clean_validation_images(rate):
    detector, given = step("feature_squeezing", rate=rate, bits=1), material(hostile=False)
    assert isinstance(detector, Detector)
    detector.fit(given)
    rejected = (detector.excess(given.model, given.validation) > 0).float().mean()
    assert float(rejected) == pytest.approx(rate, abs=0.03)


def test_squeezing_that_changes_nothing_has_the_score_zero():
    detector, given = step("feature_squeezing", bits=1, window=1), material(hostile=False)
    two_levels = given.validation.round()
    assert detector.excess(given.model, two_levels).abs().max() < 1e-6


def test_what_is_no_module_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "preprocess").mkdir()
    text = "def plain(shape):\n    return lambda images: images\n"
    (tmp_path / "preprocess" / "plain.py").write_text(text)
    monkeypatch.setenv(ENVIRONMENT, json.dumps([str(tmp_path)]))
    with pytest.raises(
        GauntletError, match=r"plain gives a function; allowed is a torch.nn.Module"
    ):
        make_step({"kind": "plain"}, (1, 8, 8), 0)


def test_an_unknown_step_is_one_sentence():
    with pytest.raises(GauntletError, match="no plug-in 'blur'"):
        make_step({"kind": "blur"}, (1, 8, 8), 0)
