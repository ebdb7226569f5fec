"""Random size and place: the image is shrunk, and black fills the rest."""

import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample

RANDOM = True
MACS = "16 * pixels"


def random_resize(shape: tuple[int, int, int], *, least: float = 0.8) -> nn.Module:
    """Shrink each image [N, C, H, W] to a random share of its size, from `least` to 1.

    It is put at a random place of a black image of the same shape, with bilinear interpolation,
    which has exact gradients. Every call draws anew, by PyTorch's global generator. Source: Xie et
    al. 2018, "Mitigating Adversarial Effects Through Randomization". Departure: the network keeps
    its input size, so that images are shrunk instead of enlarged.
    """
    return _RandomResize(least)


class _RandomResize(nn.Module):
    def __init__(self, least: float):
        super().__init__()
        self.least = least

    def forward(self, images: Tensor) -> Tensor:
        size, down, right = torch.rand(3, len(images)).to(images.device)
        size = self.least + (1 - self.least) * size
        moves = torch.zeros(len(images), 2, 3, device=images.device)
        moves[:, 0, 0] = moves[:, 1, 1] = 1 / size
        moves[:, 0, 2] = (2 * right - 1) * (1 - size) / size
        moves[:, 1, 2] = (2 * down - 1) * (1 - size) / size
        grid = affine_grid(moves, list(images.shape), align_corners=False)
        return grid_sample(images, grid, align_corners=False)
