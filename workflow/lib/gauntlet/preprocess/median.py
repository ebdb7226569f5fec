"""The median of a window around every pixel."""

from torch import Tensor, nn

from gauntlet.preprocess.base import filters

MACS = "8 * window ** 2 * pixels"


def median(shape: tuple[int, int, int], *, window: int = 3) -> nn.Module:
    """Replace every pixel of images [N, C, H, W] by the median of its window x window neighbors.

    Source: Xu et al. 2018, "Feature Squeezing". The gradient is exact: it belongs to the pixel that
    is the median. For an even number of values the lower of the two in the middle is taken.
    """
    return _Median(window)


class _Median(nn.Module):
    def __init__(self, window: int):
        super().__init__()
        self.window = window

    def forward(self, images: Tensor) -> Tensor:
        return filters.median(images, self.window)
