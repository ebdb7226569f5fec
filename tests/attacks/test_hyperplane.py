"""The projection onto a hyperplane inside [0, 1] against a slow, plain one."""

import pytest
import torch

from gauntlet.attacks.base.hyperplane import move_onto
from tests.helpers.boundaries import NORMS, PIXELS, SPREADS, draw, random_images, shortest


@pytest.mark.parametrize("scale", (1e-12, 1.0, 1e12))
@pytest.mark.parametrize("spread", SPREADS.values(), ids=SPREADS)
@pytest.mark.parametrize("norm", NORMS)
def test_projection_is_exact(norm, spread, scale):
    points = random_images(spread, 200).flatten(1)
    normal = draw(200, PIXELS) * scale
    normal[:50, ::3] = 0
    # from next to nothing to nearly all that [0, 1] leaves
    most = (normal.abs() * torch.where(normal > 0, 1 - points, points)).sum(1)
    lack = most * torch.linspace(1e-4, 0.98, 200)
    lack[::2] *= -1
    normal[::2] *= -1
    move = move_onto(points, normal, lack, norm)
    order = {"linf": torch.inf, "l2": 2, "l1": 1}[norm]
    length = torch.linalg.vector_norm(move.double(), order, dim=1)
    assert ((points + move >= -1e-6) & (points + move <= 1 + 1e-6)).all()
    torch.testing.assert_close((normal * move).sum(1), lack, rtol=1e-4, atol=0)
    torch.testing.assert_close(length, shortest(points, normal, lack, norm), rtol=1e-4, atol=0)


@pytest.mark.parametrize("norm", NORMS)
def test_projection_goes_as_far_as_it_can(norm):
    points, normal = random_images(0.5, 8).flatten(1), draw(8, PIXELS)
    move = move_onto(points, normal, torch.full((8,), 1e3), norm)
    assert torch.allclose(points + move, (normal > 0).float(), atol=1e-6)
    for slope, lack in ((torch.zeros_like(normal), 1.0), (normal, 0.0)):
        assert (move_onto(points, slope, torch.full((8,), lack), norm) == 0).all()
