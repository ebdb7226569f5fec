"""Square: its schedule and patches, the queries it spends, and the margin that it keeps."""

import pytest
import torch

from gauntlet.attacks.base.square_patches import _bumps
from gauntlet.attacks.square import _share, square
from tests.helpers.black_box import COUNT, DUAL, linear, seeded


def test_square_spends_no_pass_on_what_changes_nothing():
    """On a grey image a patch of one pixel is as it was in every second query."""
    images = torch.full((COUNT, 1, 5, 5), 0.5)

    def deaf(batch):
        return torch.tensor([1.0, 0.0]).repeat(len(batch), 1)

    labels = torch.zeros(COUNT, dtype=torch.int64)
    settings = {"norm": "linf", "eps": 0.1, "queries": 400, "p_init": 0.01}
    result = square(deaf, images, labels, streams=seeded(), **settings)
    assert ((result.forwards > 150) & (result.forwards < 250)).all()
    flat = square(deaf, images, labels, streams=seeded(), **{**settings, "eps": 0.0})
    assert (flat.forwards == 1).all() and torch.equal(flat.images, images)


@pytest.mark.parametrize("norm", DUAL)
def test_square_keeps_the_highest_margin_of_the_survivors(norm):
    model, images, labels, exact = linear((1, 6, 6), 2)
    eps = float(exact[norm].min()) * 0.9
    shown = []

    def watched(batch):
        shown.append(model(batch).clone())
        return model(batch)

    result = square(watched, images, labels, streams=seeded(), norm=norm, eps=eps, queries=50)
    assert not result.success_query.any()
    sign = 1 - 2 * labels.float()
    kept = (model(result.images) @ torch.tensor([-1.0, 1.0])) * sign
    first = (shown[0] @ torch.tensor([-1.0, 1.0])) * sign
    assert (kept >= first).all() and (kept > first + 0.1 * eps).all()


def test_square_schedule_and_patch():
    halvings = {1: 1, 10: 1, 11: 2, 50: 2, 200: 4, 501: 16, 2000: 32, 8000: 256, 8001: 512}
    for number, divisor in halvings.items():
        assert _share(0.8, number, 10_000) == 0.8 / divisor
    assert _share(0.8, 500, 1000) == 0.8 / 128 and _share(0.8, 5, 1000) == 0.8 / 2
    upright, lying = _bumps(5)
    assert torch.allclose(upright, lying.T) and abs(float(upright.norm()) - 1) < 1e-6
    assert (upright[:2] > 0).all() and (upright[2:] < 0).all()
    assert float(upright[1, 2]) == float(upright[:2].max())
