"""A random stream for each image, by the image's own content."""

import torch
from torch import Tensor

from gauntlet.core.image_rng import Streams
from gauntlet.core.rng import seed_for

FACTOR = 6364136223846793005  # odd, so that no value of a pixel is lost (Knuth's MMIX generator)


def content_streams(images: Tensor, seed: int, *purpose: object) -> Streams:
    """Give a stream per image [N, C, H, W] float32 that depends on its values and the seed alone.

    The same image draws the same numbers whatever else is in the batch; an image that differs in
    one bit draws others.
    """
    bits = images.detach().cpu().contiguous().float().view(torch.int32).flatten(1).long()
    powers = torch.ones(bits.shape[1], dtype=torch.int64)
    powers[1:] = FACTOR
    states = (bits * powers.cumprod(0)).sum(1)  # a polynomial in FACTOR, modulo 2 ** 64
    return Streams(states).fork(seed_for(seed, *purpose))
