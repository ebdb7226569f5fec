"""Corruptions and spatial changes: what happens to images without a ball."""

from itertools import pairwise

import pytest
import torch

from gauntlet.attacks.base.corruption_ops import CORRUPTIONS, DIRECTIONS, _dragged, corrupt
from gauntlet.attacks.base.jpeg import compressed
from gauntlet.attacks.corruptions import corruptions
from gauntlet.attacks.spatial import _moved, _poses, spatial
from gauntlet.core.image_rng import Streams
from gauntlet.study.schema import load_schema
from tests.helpers.places import ROOT

SHAPES = [(1, 8, 8), (3, 32, 32), (1, 28, 28), (3, 33, 47)]


def _images(shape, count=6):
    raw = torch.rand(count, *shape, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.avg_pool2d(raw, 3, 1, 1)


def _streams(count=6):
    return Streams.of_images(0, range(count), "corruptions")


def _corner(images):
    """Look at one pixel: bright is class 1."""
    value = images[:, 0, 3, 3]
    return torch.stack([0.5 - value, value - 0.5], 1)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruptions_stay_in_range_and_grow_with_severity(name, shape):
    images = _images(shape, 32)
    changes = []
    for severity in range(1, 6):
        hurt = corrupt(images, name, severity, _streams(32))
        assert hurt.shape == images.shape and hurt.dtype == torch.float32
        assert hurt.min() >= 0 and hurt.max() <= 1
        changes.append((hurt - images).abs().mean().item())
    if name == "saturate" and shape[0] == 1:
        assert changes == [0.0] * 5
        return
    steps = [after - before for before, after in pairwise(changes)]
    assert changes[0] > 1e-3  # more than rounding
    if name == "pixelate" and shape[1] == 8:
        steps = [step for step in steps if step]  # 0.3 and 0.2 of 8 pixels are both 2
    assert min(steps) > 0


@pytest.mark.parametrize("shape", [(1, 1, 2), (3, 2, 1), (2, 5, 7)], ids=str)
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruptions_take_the_smallest_images(name, shape):
    for severity in (1, 5):
        hurt = corrupt(_images(shape, 2), name, severity, _streams(2))
        assert hurt.shape == (2, *shape) and hurt.isfinite().all()


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_an_image_is_corrupted_alike_in_any_batch(name):
    images, streams = _images((3, 32, 32)), _streams()
    whole, again = (corrupt(images, name, 3, streams) for _ in range(2))
    assert torch.equal(whole, again)
    for row in (0, 5):
        alone = corrupt(images[row : row + 1], name, 3, streams.select(torch.tensor([row])))
        assert torch.allclose(alone, whole[row : row + 1], atol=1e-5)


@pytest.mark.parametrize("name", ["gaussian_blur", "defocus_blur", "motion_blur", "zoom_blur"])
def test_blur_leaves_a_flat_image_alone(name):
    flat = torch.full((2, 3, 28, 28), 0.3)
    assert torch.allclose(corrupt(flat, name, 5, _streams(2)), flat, atol=1e-5)


@pytest.mark.parametrize("side", [8, 32])
@pytest.mark.parametrize("name", ["gaussian_blur", "defocus_blur", "zoom_blur"])
def test_blur_has_no_side(name, side):
    images = _images((1, side, side))
    mirrored = corrupt(images.flip(2, 3), name, 3, _streams()).flip(2, 3)
    assert torch.allclose(corrupt(images, name, 3, _streams()), mirrored, atol=1e-5)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_drag_is_a_convolution_with_a_line(direction):
    images, line, kernel = _images((1, 9, 12)), [0.3, 1.0, 1.0, 1.0, 0.3], torch.zeros(5, 5)
    for place, weight in enumerate(line):
        kernel[tuple(2 + step * (place - 2) for step in direction)] = weight / sum(line)
    wide = torch.nn.functional.pad(images, (2,) * 4, mode="replicate")
    expected = torch.nn.functional.conv2d(wide, kernel[None, None])
    assert torch.allclose(_dragged(images, direction, line), expected, atol=1e-6)


def test_jpeg_of_the_best_quality_changes_little():
    gray = _images((1, 30, 21))
    assert (compressed(gray, 100) - gray).abs().max() < 4 / 255
    assert (compressed(gray, 5) - gray).abs().mean() > (compressed(gray, 50) - gray).abs().mean()


def test_corruptions_say_which_one_succeeded():
    images = torch.full((4, 1, 8, 8), 0.45)
    labels = _corner(images).argmax(1)
    names = ["contrast", "brightness", "fog"]
    result = corruptions(_corner, images, labels, streams=_streams(4), names=names, severity=2)
    assert result.members == tuple(names)
    assert result.success_by.tolist() == [1] * 4  # flat: contrast changes nothing
    assert result.success_query.tolist() == [2] * 4 and result.forwards.tolist() == [2] * 4
    assert (_corner(result.images).argmax(1) != labels).all()


@pytest.mark.parametrize("change", [{"names": ["rain"]}, {"severity": 6}, {"severity": 0}])
def test_bad_corruptions_are_named(change):
    with pytest.raises(ValueError, match="allowed are gaussian_noise.*severities 1 to 5"):
        corruptions(
            _corner, _images((1, 8, 8)), torch.zeros(6).long(), streams=_streams(), **change
        )


def test_no_turn_and_no_shift_is_the_image():
    images = _images((3, 9, 12))
    assert torch.equal(_moved(images, torch.zeros(6, 3)), images)
    still = spatial(_corner, images, _corner(images).argmax(1), streams=_streams(), grid=(1, 1, 1))
    assert torch.equal(still.images, images) and (still.success_query == 0).all()


@pytest.mark.parametrize("grid", [(31, 5, 5), (7, 7, 7), (4, 2, 2)], ids=str)
def test_every_grid_holds_the_image_itself_first(grid):
    poses = _poses(30.0, 0.3, grid)
    assert poses[0].tolist() == [0.0, 0.0, 0.0]
    assert len(poses) == torch.tensor([count | 1 for count in grid]).prod()
    assert torch.equal(poses.sort(0).values, -poses.sort(0, descending=True).values)


def test_an_image_is_turned_first_and_shifted_then():
    image = torch.zeros(1, 1, 9, 9)
    image[0, 0, 4, 7] = 1.0  # right of the middle
    moved = _moved(image, torch.tensor([[torch.pi / 2, 1 / 9, 0.0]]))
    assert (moved[0, 0] > 0.5).nonzero().tolist() == [[2, 4]]  # above the middle, one row down


def test_spatial_keeps_the_point_of_highest_loss_of_an_image_that_stands():
    images = _images((1, 8, 8), 3) / 10 + 0.45
    labels = torch.zeros(3).long()

    def model(examples):
        loss = examples.mean((1, 2, 3))
        return torch.stack([2 + loss, 0 * loss], 1)

    result = spatial(model, images, labels, streams=_streams(3), grid=(5, 3, 3))
    poses = _poses(30.0, 0.1, (5, 3, 3))
    means = torch.stack([_moved(images, pose.expand(3, -1)).mean((1, 2, 3)) for pose in poses])
    assert torch.allclose(result.images.mean((1, 2, 3)), means.amin(0), atol=1e-6)
    assert (result.success_query == 0).all() and result.forwards.tolist() == [len(poses)] * 3


@pytest.mark.parametrize("attack", [corruptions, spatial])
def test_an_image_is_attacked_alike_in_any_batch(attack):
    images, streams = _images((1, 12, 12), 9), _streams(9)
    labels = _corner(images).argmax(1)
    whole, again = (attack(_corner, images, labels, streams=streams) for _ in range(2))
    assert torch.equal(whole.images, again.images) and torch.equal(whole.forwards, again.forwards)
    assert (whole.success_query > 0).any()
    for row in range(9):
        one = torch.tensor([row])
        alone = attack(_corner, images[one], labels[one], streams=streams.select(one))
        assert torch.allclose(alone.images, whole.images[one], atol=1e-5)
        assert bool(alone.success_query > 0) == bool(whole.success_query[row] > 0)


def test_the_schema_names_every_corruption():
    path = ROOT / "workflow" / "schemas" / "config.schema.yaml"
    settings = load_schema(str(path))["$defs"]["attack_corruptions"]["properties"]
    assert settings["names"]["items"]["enum"] == list(CORRUPTIONS)


def test_a_half_turn_is_exact_and_a_shift_moves_pixels():
    images = _images((1, 8, 8))
    turned = _moved(images, torch.tensor([[torch.pi, 0.0, 0.0]]).expand(6, -1))
    assert torch.allclose(turned, images.flip(2, 3), atol=1e-5)
    moved = _moved(images, torch.tensor([[0.0, 0.25, 0.0]]).expand(6, -1))
    assert torch.allclose(moved[:, :, 2:], images[:, :, :-2], atol=1e-5)
    assert (moved[:, :, :2].abs() < 1e-6).all()


def test_spatial_succeeds_on_a_model_of_one_pixel():
    images = torch.zeros(5, 1, 8, 8)
    images[:, :, 3, 3] = 1.0
    result = spatial(_corner, images, torch.ones(5).long(), streams=_streams(5))
    assert (result.success_query > 0).all() and (_corner(result.images).argmax(1) == 0).all()
    assert result.images.min() >= 0 and result.images.max() <= 1


@pytest.mark.parametrize("change", [{"rotation": -1.0}, {"shift": 1.0}, {"grid": (0, 1, 1)}])
def test_bad_grids_are_named(change):
    with pytest.raises(ValueError, match="rotation is"):
        spatial(_corner, _images((1, 8, 8)), torch.zeros(6).long(), streams=_streams(), **change)
