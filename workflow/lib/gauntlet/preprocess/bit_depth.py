"""Fewer gray levels."""

from torch import Tensor, nn

from gauntlet.preprocess.base.filters import rounded

GRADIENT = "straight_through"


def bit_depth(shape: tuple[int, int, int], *, bits: int = 3) -> nn.Module:
    """Round images [N, C, H, W] in [0, 1] to 2 ** `bits` levels (1 to 8 bits).

    Sources: Xu et al. 2018, "Feature Squeezing"; Guo et al. 2018, "Countering Adversarial Images
    using Input Transformations". An adaptive attack takes rounding as if it changed nothing.
    """
    return _BitDepth(bits)


class _BitDepth(nn.Module):
    def __init__(self, bits: int):
        super().__init__()
        self.bits = bits

    def forward(self, images: Tensor) -> Tensor:
        return rounded(images, self.bits)
