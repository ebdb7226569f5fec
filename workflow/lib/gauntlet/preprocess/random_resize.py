"""Random size and place: the image is shrunk, and black fills the rest."""

import torch
from torch import Tensor, nn

RANDOM = True
MACS = "2 * places ** 0.5 * pixels"


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
        size, down, right = torch.rand(3, len(images)).to(images.device, images.dtype)
        size = self.least + (1 - self.least) * size
        rows = _interpolation(images.shape[2], size, down * (1 - size))
        columns = _interpolation(images.shape[3], size, right * (1 - size))
        return rows[:, None] @ images @ columns[:, None].transpose(2, 3)


def _interpolation(count: int, size: Tensor, start: Tensor) -> Tensor:
    """Give the weights [N, count, count] of old pixels in each new one, along one axis.

    The image takes the share `size` [N] of the axis, from the share `start` [N] on. As matrices,
    because PyTorch's own sampling has no deterministic gradient on a GPU.
    """
    pixels = torch.arange(count, device=size.device, dtype=size.dtype)
    centers = (pixels + 0.5) / count
    source = (centers - start[:, None]) / size[:, None] * count - 0.5
    return (1 - (source[:, :, None] - pixels).abs()).clamp(min=0)
