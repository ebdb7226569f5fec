"""The loss of JPEG: cosine transform in blocks of 8, coarse values, and back (ITU-T T.81)."""

import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

BLOCK = 8
LUMA = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMA = (
    *(17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99),
    *(24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99),
    *(99,) * 32,
)
YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


def compressed(images: Tensor, quality: int) -> Tensor:
    """Give what images [N, C, H, W] in [0, 1] look like after JPEG of a quality from 1 to 100.

    Three channels go through luma and halved chroma, any other number through luma each. The
    lossless part of the coding is left out.
    """
    if images.shape[1] != 3:
        return _coarse(images * 255 - 128, LUMA, quality).add(128).div(255)
    turn = torch.tensor(YCBCR, device=images.device)
    planes = torch.einsum("kc,nchw->nkhw", turn, images * 255)
    luma = _coarse(planes[:, :1] - 128, LUMA, quality) + 128
    small = avg_pool2d(planes[:, 1:], 2, ceil_mode=True)
    coarse = _coarse(small, CHROMA, quality)
    chroma = interpolate(coarse, scale_factor=2.0)[:, :, : images.shape[2], : images.shape[3]]
    back = torch.linalg.inv(turn)
    return torch.einsum("ck,nkhw->nchw", back, torch.cat([luma, chroma], 1)).div(255)


def _coarse(planes: Tensor, table: tuple[int, ...], quality: int) -> Tensor:
    """Round the transform of every block to multiples of the table's values."""
    height, width = planes.shape[2:]
    full = pad(planes, (0, -width % BLOCK, 0, -height % BLOCK), mode="replicate")
    blocks = full.unfold(2, BLOCK, BLOCK).unfold(3, BLOCK, BLOCK)
    waves = _waves(planes.device)
    steps = _steps(table, quality).to(planes.device)
    found = ((waves @ blocks @ waves.T) / steps).round() * steps
    plain = (waves.T @ found @ waves).transpose(3, 4).reshape(full.shape)
    return plain[:, :, :height, :width]


def _steps(table: tuple[int, ...], quality: int) -> Tensor:
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    values = torch.tensor(table, dtype=torch.float32).view(BLOCK, BLOCK)
    return ((values * scale + 50) / 100).floor().clamp(1, 255)


def _waves(device: torch.device) -> Tensor:
    """Give the orthonormal cosine transform [8, 8]: row k is the wave of frequency k."""
    places, waves = torch.arange(BLOCK), torch.arange(BLOCK)[:, None]
    matrix = torch.cos(math.pi * (2 * places + 1) * waves / (2 * BLOCK)) * math.sqrt(2 / BLOCK)
    matrix[0] /= math.sqrt(2)
    return matrix.to(device)
