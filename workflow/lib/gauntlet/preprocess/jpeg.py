"""JPEG compression of the input."""

from torch import Tensor, nn

from gauntlet.attacks.base.jpeg import compressed
from gauntlet.preprocess.base.substitutes import cut

GRADIENT = "straight_through"
MACS = "32 * pixels"


def jpeg(shape: tuple[int, int, int], *, quality: int = 75) -> nn.Module:
    """Compress images [N, C, H, W] in [0, 1] with a quality from 1 to 100, and read them again.

    Sources: Dziugaite et al. 2016, "A study of the effect of JPG compression on adversarial
    images"; Guo et al. 2018, "Countering Adversarial Images using Input Transformations".
    An adaptive attack goes through the cosine transform and takes rounding as if it changed
    nothing.
    """
    return _Jpeg(quality)


class _Jpeg(nn.Module):
    def __init__(self, quality: int):
        super().__init__()
        self.quality = quality

    def forward(self, images: Tensor) -> Tensor:
        return cut(compressed(images, self.quality))
