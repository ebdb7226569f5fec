"""What a certificate gives back."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Certificate:
    """What is proven about N images; all are [N].

    `radius` (float64): the largest eps proven for the image up to a ceiling, 0 where the clean (for
    smoothing: the smoothed) prediction is wrong; `margin` (float64): how far the proof goes at eps,
    above 0 where it holds; `certified` (bool): whether eps is proven; `abstained` (bool): whether
    no answer was given.
    """

    radius: Tensor
    margin: Tensor
    certified: Tensor
    abstained: Tensor
