"""The shortest move inside [0, 1] onto a hyperplane, in each norm (Croce & Hein 2020, FAB)."""

import torch
from torch import Tensor

CLOSE = 1e-6  # relative change of a threshold below which the search for it ends


def move_onto(points: Tensor, normal: Tensor, lack: Tensor, norm: str) -> Tensor:
    """Give the shortest move [M, D] in [0, 1] that raises the product with the normal by `lack`.

    Where [0, 1] is too narrow, the move goes as far as it can.
    """
    scale = normal.abs().amax(1).clamp(min=torch.finfo(normal.dtype).tiny)
    slope = normal / scale[:, None] * lack.sign()[:, None]
    room, steep = torch.where(slope > 0, 1 - points, points), slope.abs()
    solve = _greedy if norm == "l1" else _levelled
    return slope.sign() * solve(steep, room, lack.abs() / scale, norm)


def _levelled(steep: Tensor, room: Tensor, need: Tensor, norm: str) -> Tensor:
    """Move all pixels equally (linf) or in proportion to their slopes (l2), each at most its room.

    The gain is concave and piecewise linear in the common level: Newton's method from below never
    overshoots, and ends exactly on the solution's piece.
    """
    rate = steep if norm == "l2" else torch.ones_like(steep)
    power, level = steep * rate, torch.zeros_like(need)
    for _ in range(steep.shape[1] + 1):
        wanted = level[:, None] * rate
        gained = (steep * torch.minimum(wanted, room)).sum(1)
        speed = (power * (wanted < room)).sum(1)
        rise = torch.where(speed > 0, (need - gained) / speed, 0.0).clamp(min=0)
        rise = torch.where(rise > CLOSE * level, rise, 0.0)
        if not bool(rise.any()):
            break
        level = level + rise
    return torch.minimum(level[:, None] * rate, room)


def _greedy(steep: Tensor, room: Tensor, need: Tensor, norm: str) -> Tensor:
    """Move the steepest pixels first, each by its room, until the need is met."""
    steep, order = steep.double().sort(dim=1, descending=True, stable=True)
    room = room.gather(1, order).double()
    gained = (steep * room).cumsum(1) - steep * room
    tiny = torch.finfo(torch.float32).tiny
    moves = ((need[:, None] - gained).clamp(min=0) / steep.clamp(min=tiny)).minimum(room)
    return torch.zeros_like(moves).scatter(1, order, moves).to(need.dtype)
