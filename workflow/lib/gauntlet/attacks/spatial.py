"""Rotations and translations: the worst point of a grid."""

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from gauntlet.attacks.base.entry import attack
from gauntlet.attacks.base.losses import ce
from gauntlet.attacks.base.state import AttackState
from gauntlet.core.image_rng import Streams
from gauntlet.core.threat_models import AttackResult

THREAT, SIZE = "spatial", "rotation"
GRADIENT_FREE = True
FORWARDS = "prod(count // 2 * 2 + 1 for count in grid)"


@attack
def spatial(
    model,
    images: Tensor,
    labels: Tensor,
    *,
    streams: Streams,
    rotation: float = 30.0,
    shift: float = 0.1,
    grid: tuple[int, int, int] = (31, 5, 5),
) -> AttackResult:
    """Rotate and shift the image, and keep the worst point of a grid.

    Source: Engstrom et al. 2019, "Exploring the Landscape of Spatial Robustness". Shapes: images
    [N, C, H, W] float32 in [0, 1], labels [N] int64; `rotation` in degrees and `shift` as a share
    of height and width, both to either side; `grid` counts rotations, vertical and horizontal
    shifts (an even count is made odd, so that the image itself is on the grid). Pixels from outside
    the image are black; values between pixels are bilinear. Raises ValueError for a negative
    rotation or shift, or counts below 1.
    """
    if not rotation >= 0 or not 0 <= shift < 1 or min(grid) < 1:
        raise ValueError(
            f"rotation is {rotation} (0 or more), shift is {shift} (0 to below 1) and grid is "
            f"{list(grid)} (counts of 1 or more)"
        )
    state = AttackState(model, images, labels)
    poses = _poses(rotation, shift, grid).to(images.device)
    done = 0
    while done < len(poses) and len(rows := state.active()):
        some = poses[done : done + max(1, state.batched.batch // len(rows))]
        candidates = rows.repeat(len(some))
        turned = _moved(images[candidates], some.repeat_interleave(len(rows), 0))
        truth = labels[candidates]
        state.judge(
            candidates, turned, lambda logits, places, truth=truth: ce(logits, truth[places])
        )
        done += len(some)
    return state.result()


def _poses(rotation: float, shift: float, grid: tuple[int, int, int]) -> Tensor:
    """Give (radians, vertical, horizontal shift) of every point [P, 3], nearest to 0 first."""
    reach = (torch.pi * rotation / 180, shift, shift)
    sides = [_axis(far, count) for far, count in zip(reach, grid, strict=True)]
    points = torch.cartesian_prod(*sides)
    return points[points.abs().sum(1).argsort(stable=True)]


def _axis(far: float, count: int) -> Tensor:
    half = count // 2
    return torch.arange(-half, half + 1) / max(half, 1) * far  # exactly 0 in the middle


def _moved(images: Tensor, poses: Tensor) -> Tensor:
    """Turn images [M, C, H, W] by poses [M, 3] around their middle, then shift them."""
    height, width = images.shape[2:]
    sine, cosine = poses[:, 0].sin(), poses[:, 0].cos()
    first = torch.stack([cosine, -sine * height / width], 1)
    second = torch.stack([sine * width / height, cosine], 1)
    turn, shift = torch.stack([first, second], 1), 2 * poses[:, [2, 1], None]
    transform = torch.cat(
        [turn, -turn @ shift], 2
    )  # from places of the result to places of the image
    places = affine_grid(transform, list(images.shape), align_corners=False)
    turned = grid_sample(images, places, mode="bilinear", align_corners=False)
    unmoved = (poses == 0).all(1).view(-1, 1, 1, 1)
    return torch.where(unmoved, images, turned).clamp(0, 1)
